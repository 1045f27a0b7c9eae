import { CONDITION_MUTANTS } from './conditions-mutants.ts';
import { conditionsScenario } from './conditions-scenario.ts';
import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';

describeScenario('appends that expect something of the log', {
  holds: 'nothing is appended of which the expectation does not hold',
  scenario: conditionsScenario,
  seeds: 1,
  broken: planted(CONDITION_MUTANTS, conditionsScenario),
  shownBy: { 'the keys of the file are not taken over': 2 },
});
