import { cpus } from 'node:os';
import { TestCluster } from '../process/processes.ts';
import { floors } from './floors.ts';
import { appendRows, lossRow } from './log-rows.ts';
import { manyStreamsRows } from './many-streams.ts';
import { type Row, table } from './measure.ts';
import { idleRow } from './process-use.ts';
import { publishedRows } from './published-rows.ts';
import { serviceRows } from './service-rows.ts';
import { snapshotRows } from './snapshot-rows.ts';
import { storeRows } from './stores.ts';

/**
 * `npm run bench`: every row on real processes with fsync, 100 B a record unless said, on this machine
 * and in this order. Compare within one run only.
 */
const rows: Row[] = [];
const add = (...more: Row[]): void => {
  rows.push(...more);
  for (const it of more) process.stderr.write(`${it.work}: ${it.rate}\n`);
};

add(...(await floors()));
{
  await using cluster = await TestCluster.startApart();
  add(...(await appendRows(cluster, '1 MR, 1 SN')));
  add(...(await publishedRows(cluster, '1 MR, 1 SN')));
}
{
  await using cluster = await TestCluster.start(3);
  const pids = cluster.nodes.map((it) => it.pid);
  add(await idleRow(`idle cluster of ${pids.length}, all processes`, pids));
  add(...(await appendRows(cluster, '3 MR, 3 SN, 3 replicas')));
  add(...(await publishedRows(cluster, '3 MR, 3 SN, 3 replicas')));
  add(...(await serviceRows(cluster, '3 MR, 3 SN, 3 replicas')));
  add(await lossRow(cluster, 'backup'), await lossRow(cluster, 'primary'));
}
add(...(await manyStreamsRows()));
add(...(await snapshotRows()));
add(...(await storeRows()));

console.log(`\n${cpus().length} cores (${cpus()[0]?.model}), Node.js ${process.versions.node}\n`);
console.log(table(rows));
process.exit(0);
