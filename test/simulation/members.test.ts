import { runSeeds } from '../../framework/testing/index.ts';
import { MEMBER_MUTANTS } from './members-mutants.ts';
import { membersScenario } from './members-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);

describe('members come and go', () => {
  test(`through ${SEEDS} seeds the cluster stays one, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: (seed) => membersScenario(seed),
      seeds: SEEDS,
      checkShare: 0.1,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(MEMBER_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      await untilFound((seed) => membersScenario(seed, begin));
    },
    1_200_000,
  );
});
