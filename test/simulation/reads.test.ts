import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';
import { READ_MUTANTS } from './read-mutants.ts';
import { readScenario } from './read-scenario.ts';

describeScenario('reads under leases, and of one’s own writes', {
  holds: 'no read misses what was acknowledged before it',
  scenario: readScenario,
  seeds: 1,
  broken: planted(READ_MUTANTS, readScenario),
});
