import { runSeeds } from '../../framework/testing/index.ts';
import { SPECULATION_MUTANTS } from './speculation-mutants.ts';
import { speculationScenario } from './speculation-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 24);
/** So many tentative answers of a seed are wrong at least, on average. */
const WRONG_EACH = 420;

describe('replicas that answer before the log does', () => {
  test(`through ${SEEDS} seeds: whatever was tentative, the state is what a plain replay comes to`, async () => {
    const sums = { confirmed: 0, rolledBack: 0, failed: 0 };
    const failures = await runSeeds({
      scenario: async (seed) => {
        const report = await speculationScenario(seed);
        for (const kind of ['confirmed', 'rolledBack', 'failed'] as const)
          sums[kind] += report[kind];
        return report;
      },
      seeds: SEEDS,
      checkShare: 0.1,
      print: () => {},
    });
    expect(failures).toEqual([]);
    expect(sums.rolledBack).toBeGreaterThan(SEEDS * WRONG_EACH);
    expect(sums.confirmed).toBeGreaterThan(SEEDS * 20);
  }, 1_200_000);

  test.each(Object.entries(SPECULATION_MUTANTS))(
    'it is found when %s',
    async (_, plant) => {
      const mend = plant();
      try {
        expect(await untilFound(speculationScenario)).toMatch(/broken promise/);
      } finally {
        mend();
      }
    },
    1_200_000,
  );
});
