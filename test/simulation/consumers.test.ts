import { runSeeds } from '../../framework/testing/index.ts';
import { CONSUMERS_MUTANTS } from './consumers-mutants.ts';
import { consumersScenario } from './consumers-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('consumers that are killed and started again', () => {
  test(`through ${SEEDS} seeds each record is done, in order by key, once in a database, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: consumersScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(CONSUMERS_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        await untilFound(consumersScenario);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
