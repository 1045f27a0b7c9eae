import { runSeeds } from '../../framework/testing/index.ts';
import { PRODUCER_MUTANTS } from './producer-mutants.ts';
import { producerScenario } from './producer-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 5);
const MUTANT_SEEDS = 40;

describe('producers that retry what they do not know the outcome of', () => {
  test(`through ${SEEDS} seeds every sequence stands in the log once, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: producerScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(PRODUCER_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        for (let seed = 1; seed <= MUTANT_SEEDS; seed++) {
          try {
            await producerScenario(seed);
          } catch (error) {
            console.log(`seed ${seed}: ${String(error).slice(0, 200)}`);
            return;
          }
        }
        throw new Error(`not found in ${MUTANT_SEEDS} seeds`);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
