import { runSeeds } from '../../framework/testing/index.ts';
import { PRODUCER_MUTANTS } from './producer-mutants.ts';
import { producerScenario } from './producer-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

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
        await untilFound(producerScenario);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
