import { describeScenario } from './describe-scenario.ts';
import { MEMBER_MUTANTS } from './members-mutants.ts';
import { membersScenario } from './members-scenario.ts';
import { planted } from './planted-defect.ts';

describeScenario('members come and go', {
  holds: 'the cluster stays one',
  scenario: membersScenario,
  seeds: 1,
  broken: planted(MEMBER_MUTANTS, membersScenario),
});
