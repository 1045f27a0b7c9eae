import { runSeeds } from '../../framework/testing/index.ts';
import { RECEIPT_MUTANTS } from './receipt-mutants.ts';
import { receiptScenario } from './receipt-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 3);

describe('receipts of appends', () => {
  test(`through ${SEEDS} seeds the parts are what each station took, and together the whole, and the same seed does the same twice`, async () => {
    const failures = await runSeeds({
      scenario: receiptScenario,
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each(Object.entries(RECEIPT_MUTANTS))(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        await untilFound(receiptScenario);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
