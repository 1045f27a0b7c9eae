import { runSeeds } from '../../framework/testing/index.ts';
import { CONDITION_MUTANTS } from './conditions-mutants.ts';
import { conditionsScenario } from './conditions-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('appends that expect something of the log', () => {
  test(`through ${SEEDS} seeds nothing is appended of which the expectation does not hold, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: conditionsScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(CONDITION_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        await untilFound(conditionsScenario);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
