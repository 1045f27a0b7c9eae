import { ATOMIC_MUTANTS } from './atomic-mutants.ts';
import { atomicScenario } from './atomic-scenario.ts';
import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';

describeScenario('atomic appends', {
  holds: 'whoever reads to the tail finds each whole or not at all',
  scenario: atomicScenario,
  seeds: 1,
  broken: planted(ATOMIC_MUTANTS, atomicScenario),
});
