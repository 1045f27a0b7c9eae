import { runSeeds } from '../../framework/testing/index.ts';
import { READ_MUTANTS } from './read-mutants.ts';
import { readScenario } from './read-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('reads under leases, and of one’s own writes', () => {
  test(`through ${SEEDS} seeds no read misses what was acknowledged before it, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: readScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(READ_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        await untilFound(readScenario);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
