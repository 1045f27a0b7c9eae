import { clusterScenario } from './cluster-scenario.ts';
import { describeScenario } from './describe-scenario.ts';
import { diskScenario } from './disk-scenario.ts';
import { groupsScenario, type Probes } from './groups-scenario.ts';

const seen: Probes = new Set();
const all = ['compaction refused', 'disk full', 'disk stalled', 'snapshot installed'];

describeScenario('the whole cluster', {
  holds: 'what was acknowledged stays, once and in one order',
  scenario: clusterScenario,
  seeds: 3,
});

describeScenario('the whole cluster, on disks that fail', {
  holds: 'what was acknowledged stays, once and in one order',
  scenario: diskScenario,
  seeds: 3,
});

describeScenario('groups on Raft hosts, with state machines on them', {
  holds: 'every replica of a machine comes to the same state',
  scenario: (seed) => groupsScenario(seed, seen),
  seeds: 6,
  firstSeed: 7,
  sights: { seen, all },
});
