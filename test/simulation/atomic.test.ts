import { runSeeds } from '../../framework/testing/index.ts';
import { ATOMIC_MUTANTS } from './atomic-mutants.ts';
import { atomicScenario } from './atomic-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('atomic appends', () => {
  test(`through ${SEEDS} seeds whoever reads to the tail finds each whole or not at all, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: atomicScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(ATOMIC_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        await untilFound(atomicScenario);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
