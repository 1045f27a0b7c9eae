import { runSeeds } from '../../framework/testing/index.ts';
import { TRANSACTIONS_MUTANTS } from './transactions-mutants.ts';
import { transactionsScenario } from './transactions-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('transactions of replicas', () => {
  test(`through ${SEEDS} seeds they are strictly serializable, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: transactionsScenario,
      seeds: SEEDS,
      checkShare: 0.4,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 600_000);

  test.each(Object.entries(TRANSACTIONS_MUTANTS))(
    'it is found when %s',
    async (_, scenario) => {
      await untilFound(scenario);
    },
    600_000,
  );
});
