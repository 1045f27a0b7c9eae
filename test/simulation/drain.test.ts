import { describeScenario } from './describe-scenario.ts';
import { DRAIN_MUTANTS } from './drain-mutants.ts';
import { type DrainSight, drainScenario } from './drain-scenario.ts';
import { planted } from './planted-defect.ts';

const seen = new Set<DrainSight>();
const all: DrainSight[] = ['drain cancelled', 'moved for evenness', 'newcomer given up', 'removed'];

describeScenario('storage nodes are drained, come and go', {
  holds: 'nothing is lost, no copy is given up early, and all comes to rest',
  scenario: (seed) => drainScenario(seed, seen),
  seeds: 2,
  firstSeed: 3,
  sights: { seen, all },
  broken: planted(DRAIN_MUTANTS, drainScenario),
  shownBy: { 'a drain is forgotten': 2, 'what an operator prefers is forgotten': 6 },
});
