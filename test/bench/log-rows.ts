import type { Topic } from 'varlog/log';
import type { TestCluster } from '../process/processes.ts';
import { measure, type Row, row } from './measure.ts';

const RECORD = new Uint8Array(100);
const KIB = new Uint8Array(1024);
/** Appends that a pipelining appender has under way at once. */
const PIPELINE = 8;

const batchOf = (record: Uint8Array, count: number): Uint8Array[] =>
  Array.from({ length: count }, () => record);

/** Appends of all kinds, and one subscriber that reads what they left. */
export async function appendRows(cluster: TestCluster, label: string): Promise<Row[]> {
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 1 });
  const many = batchOf(RECORD, 1000);
  const large = batchOf(KIB, 100);
  // Until the compilers of all processes have seen it.
  await measure(() => topic.append(RECORD), { workers: 16, seconds: 4 });
  const rows = [
    row(`1 appender, ${label}`, await measure(() => topic.append(RECORD), {})),
    row(`100 appenders, ${label}`, await measure(() => topic.append(RECORD), { workers: 100 })),
    row(
      `4 × batch 1000, pipelined, ${label}`,
      await measure(() => topic.append(many), { workers: 4 * PIPELINE, units: 1000 }),
      'records/s',
    ),
    row(
      `10 × batch 100 × 1 KiB, pipelined, ${label}`,
      await measure(() => topic.append(large), { workers: 10 * PIPELINE, units: 100 * 1024 }),
      'MiB/s',
      2 ** 20,
    ),
  ];
  return [...rows, await subscribeRow(varlog.topic(topic.id), label)];
}

async function subscribeRow(topic: Topic, label: string): Promise<Row> {
  const { last } = await topic.watermarks();
  const to = Math.min(last, 2_000_000);
  const begin = performance.now();
  let records = 0;
  for await (const batch of topic.read({ from: 1, to }).batches()) records += batch.count;
  const perSecond = records / ((performance.now() - begin) / 1000);
  return {
    work: `subscribe, one subscriber, ${label}`,
    rate: `${Math.round(perSecond).toLocaleString('en-US')} records/s`,
  };
}

/** The longest time between two acknowledgements while a storage node is killed. */
export async function lossRow(cluster: TestCluster, role: 'primary' | 'backup'): Promise<Row> {
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 1 });
  await topic.append(RECORD);
  const [stream] = (await topic.describe()).logStreams;
  const { leader } = await varlog.status();
  const backup = stream!.replicas.slice(1).find((it) => it !== leader);
  const victim = role === 'primary' ? stream!.replicas[0]! : backup!;
  let longest = 0;
  let last = performance.now();
  const until = last + 6_000;
  const kill = (): void => {
    cluster.nodes[victim - 1]!.end('SIGKILL').catch(() => {});
  };
  setTimeout(kill, 1_000);
  while (performance.now() < until) {
    await topic.append(RECORD, { timeoutMs: 5_000 }).catch(() => {});
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  cluster.nodes[victim - 1]!.start();
  await cluster.ready();
  const note = victim === leader ? ', which also led' : '';
  return {
    work: `${role} killed${note}: longest gap between appends`,
    rate: `${Math.round(longest)} ms`,
  };
}
