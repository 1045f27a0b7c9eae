import { runSeeds } from '../../framework/testing/index.ts';
import { DRAIN_MUTANTS } from './drain-mutants.ts';
import { type DrainSight, drainScenario } from './drain-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);

describe('storage nodes are drained, come and go', () => {
  const sights = new Set<DrainSight>();

  test(`through ${SEEDS} seeds nothing is lost, no copy is given up early, and all comes to rest`, async () => {
    const failures = await runSeeds({
      scenario: (seed) => drainScenario(seed, undefined, sights),
      seeds: SEEDS,
      checkShare: 0.1,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test('what is rare came up', () => {
    const all: DrainSight[] = [
      'drain cancelled',
      'moved for evenness',
      'newcomer given up',
      'removed',
    ];
    expect([...sights].sort()).toEqual(all);
  });

  test.each(Object.entries(DRAIN_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      await untilFound((seed) => drainScenario(seed, begin));
    },
    1_200_000,
  );
});
