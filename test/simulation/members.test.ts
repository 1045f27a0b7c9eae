import { runSeeds } from '../../framework/testing/index.ts';
import { MEMBER_MUTANTS } from './members-mutants.ts';
import { membersScenario } from './members-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);
const MUTANT_SEEDS = 40;

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
      for (let seed = 1; seed <= MUTANT_SEEDS; seed++) {
        try {
          await membersScenario(seed, begin);
        } catch (error) {
          console.log(`seed ${seed}: ${String(error).slice(0, 200)}`);
          return;
        }
      }
      throw new Error(`not found in ${MUTANT_SEEDS} seeds`);
    },
    1_200_000,
  );
});
