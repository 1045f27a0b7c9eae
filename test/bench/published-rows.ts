import type { Varlog } from 'varlog/log';
import type { TestCluster } from '../process/processes.ts';
import { measure, type Row, row } from './measure.ts';
import { cpuMs } from './process-use.ts';
import { PublishedClient } from './published-client.ts';

const RECORD = new Uint8Array(100);
const BATCH = Array.from({ length: 1000 }, () => RECORD);
const READ = 1_000_000;

/** The published interface, as an outside client uses it: appends of a call each, and one subscriber. */
export async function publishedRows(cluster: TestCluster, label: string): Promise<Row[]> {
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 1 });
  const [logStream] = (await topic.describe()).logStreams;
  const { id, replicas } = logStream!;
  using client = new PublishedClient(await addressOf(varlog, replicas[0]!));
  const append = client.appender(topic.id, id, RECORD);
  const pids = cluster.nodes.map((it) => it.pid);
  await measure(append, { workers: 100, seconds: 4 });
  const used = cpuMs(pids);
  let calls = 0;
  const appends = await measure(
    () => {
      calls++;
      return append();
    },
    { workers: 100 },
  );
  const cost = (1000 * (cpuMs(pids) - used)) / calls;
  return [
    withCost(row(`published Append, 100 appenders, ${label}`, appends), cost, 'call'),
    await subscribeRow(varlog, topic.id, client, pids, label),
  ];
}

/** What it costs to read a million records, while somebody appends. */
async function subscribeRow(
  varlog: Varlog,
  topicId: number,
  client: PublishedClient,
  pids: readonly number[],
  label: string,
): Promise<Row> {
  const topic = varlog.topic(topicId);
  const [logStream] = (await topic.describe()).logStreams;
  const { last } = await topic.watermarks();
  for (let i = 0; i < READ / BATCH.length; i += 10) {
    await Promise.all(Array.from({ length: 10 }, () => topic.append(BATCH)));
  }
  let isOver = false;
  const appending = (async () => {
    while (!isOver) await topic.append(BATCH);
  })();
  const read = (): Promise<number> =>
    client.subscribe(topicId, logStream!.id, last + 1, last + 1 + READ);
  await read();
  const used = cpuMs(pids);
  const begin = performance.now();
  const records = await read();
  const perSecond = records / ((performance.now() - begin) / 1000);
  const cost = (1000 * (cpuMs(pids) - used)) / records;
  isOver = true;
  await appending;
  const work = `published Subscribe, one subscriber with appends beside, ${label}`;
  const measured = { perSecond, p50Ms: 0, p99Ms: 0 };
  const { rate } = row(work, measured, 'records/s');
  return withCost({ work, rate }, cost, 'record');
}

function withCost(it: Row, microseconds: number, what: string): Row {
  return { ...it, rate: `${it.rate}, ${microseconds.toFixed(1)} µs of the servers' CPU a ${what}` };
}

async function addressOf(varlog: Varlog, node: number): Promise<string> {
  const { storageNodes } = await varlog.status();
  return storageNodes.find((it) => it.id === node)!.address;
}
