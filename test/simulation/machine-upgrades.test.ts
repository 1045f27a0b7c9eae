import { describeScenario } from './describe-scenario.ts';
import { machineUpgradesScenario, type Sights } from './machine-upgrades-scenario.ts';
import { planted } from './planted-defect.ts';
import { RULES_MUTANTS } from './rules-mutants.ts';
import { SHADOW_MUTANTS } from './shadow-mutants.ts';

const seen: Sights = new Set();

describeScenario('replicas of a machine at two versions of its rules, under faults', {
  holds: 'no two of them ever answer differently',
  scenario: (seed) => machineUpgradesScenario(seed, seen),
  seeds: 3,
  sights: {
    seen,
    all: [
      'an entry applied by code of two versions',
      'a timer due under newer rules than it was set',
      'rules raised before all had new code',
      'a snapshot of another member installed',
      'a difference in a result found by a shadow',
      'a difference in the state found by a shadow',
      'a shadow whose code is too old',
    ],
  },
  broken: planted({ ...RULES_MUTANTS, ...SHADOW_MUTANTS }, machineUpgradesScenario),
});
