import { parseArgs } from 'node:util';
import { runSeeds } from '../../framework/testing/index.ts';
import { atomicScenario } from './atomic-scenario.ts';
import { bytesScenario } from './bytes-scenario.ts';
import { clusterScenario } from './cluster-scenario.ts';
import { conditionsScenario } from './conditions-scenario.ts';
import { consumersScenario } from './consumers-scenario.ts';
import { damagedFilesScenario } from './damaged-files-scenario.ts';
import { destroyScenario } from './destroy-scenario.ts';
import { diskScenario } from './disk-scenario.ts';
import { drainScenario } from './drain-scenario.ts';
import { groupsScenario } from './groups-scenario.ts';
import { identityScenario } from './identity-scenario.ts';
import { machineUpgradesScenario } from './machine-upgrades-scenario.ts';
import { membersScenario } from './members-scenario.ts';
import { producerScenario } from './producer-scenario.ts';
import { quietScenario } from './quiet-scenario.ts';
import { raftScenario } from './raft-walk.ts';
import { readScenario } from './read-scenario.ts';
import { receiptScenario } from './receipt-scenario.ts';
import { retentionScenario } from './retention-scenario.ts';
import { rulesScenario } from './rules-scenario.ts';
import { shardsScenario } from './shards-scenario.ts';
import { speculationScenario } from './speculation-scenario.ts';
import { timersScenario } from './timers-scenario.ts';
import { transactionsScenario } from './transactions-scenario.ts';
import { upgradeScenario } from './upgrade-scenario.ts';

/** `npm run simulate -- [atomic|bytes|cluster|conditions|consumers|destroy|disks|drain|files|groups|identity|machines|members|producers|quiet|raft|reads|receipts|retention|rules|shards|speculation|timers|transactions|upgrade] --seeds N [--seed FIRST]`:
 * whole clusters through faults, consumers that are killed, disks that fail, files that are damaged one by one, storage nodes that are drained or become uneven, or folders, processes and clusters that are taken for others, hosts of Raft
 * groups, groups that are destroyed, members that come and go, producers that retry, atomic appends, appends that expect something, clusters of which something stays broken, groups of pure Raft cores, reads under leases, receipts of appends, topics that keep little, machines over several logs, answers that come before the log has their commands, timers of machines, transactions on replicas, machines that go by new rules, or members that
 * are upgraded one after the other, seed by seed. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const SCENARIOS = {
  atomic: atomicScenario,
  bytes: bytesScenario,
  cluster: clusterScenario,
  conditions: conditionsScenario,
  consumers: consumersScenario,
  destroy: destroyScenario,
  disks: diskScenario,
  files: damagedFilesScenario,
  drain: drainScenario,
  groups: groupsScenario,
  identity: identityScenario,
  machines: (seed: number) => machineUpgradesScenario(seed),
  members: membersScenario,
  producers: producerScenario,
  quiet: quietScenario,
  raft: raftScenario,
  reads: readScenario,
  receipts: receiptScenario,
  retention: retentionScenario,
  rules: rulesScenario,
  shards: shardsScenario,
  speculation: speculationScenario,
  timers: (seed: number) => timersScenario(seed),
  transactions: transactionsScenario,
  upgrade: upgradeScenario,
};
const name = positionals[0] ?? 'cluster';
const scenario = SCENARIOS[name as keyof typeof SCENARIOS];
if (scenario === undefined) {
  console.error(
    `there is no scenario "${name}": choose one of ${Object.keys(SCENARIOS).join(', ')}`,
  );
  process.exit(2);
}
const failures = await runSeeds({
  scenario,
  seeds: Number(values.seeds),
  firstSeed: Number(values.seed),
  command: (seed) => `npm run simulate -- ${name} --seeds 1 --seed ${seed}`,
});
console.log(`${Number(values.seeds) - failures.length} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
