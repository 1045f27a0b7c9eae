import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';
import { RECEIPT_MUTANTS } from './receipt-mutants.ts';
import { receiptScenario } from './receipt-scenario.ts';

describeScenario('receipts of appends', {
  holds: 'the parts are what each station took, and together the whole',
  scenario: receiptScenario,
  seeds: 3,
  broken: planted(RECEIPT_MUTANTS, receiptScenario),
});
