import { runSeeds } from '../../framework/testing/index.ts';
import { TIMERS_MUTANTS } from './timers-mutants.ts';
import { timersScenario } from './timers-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('timers of a replicated machine', () => {
  test(`through ${SEEDS} seeds each is due once, alike on all replicas, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: (seed) => timersScenario(seed, seed % 2 === 0 ? 'memory' : 'raft'),
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(TIMERS_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        await untilFound((seed) => timersScenario(seed, 'memory'));
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
