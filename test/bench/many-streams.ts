import { readdirSync } from 'node:fs';
import type { Topic } from 'varlog/log';
import { TestCluster } from '../process/processes.ts';
import { measure, type Row } from './measure.ts';
import { cpuMs } from './process-use.ts';

const RECORD = new Uint8Array(100);
const APPENDERS = 100;
const ROUND = { workers: APPENDERS, seconds: 3 };

/** A topic and its log streams. */
interface Streams {
  readonly topic: Topic;
  readonly ids: readonly number[];
}

/** What many log streams on one storage node cost: to make, to use beside a single one, and to open again. */
export async function manyStreamsRows(logStreams = 1_000): Promise<Row[]> {
  await using cluster = await TestCluster.startApart();
  await using varlog = await cluster.connect();
  const node = cluster.nodes[1]!;
  const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
  const filesOpen = (): number => readdirSync(`/proc/${node.pid}/fd`).length;
  const make = async (count: number): Promise<Streams> => {
    const topic = await varlog.createTopic({ logStreams: count, timeoutMs: 120_000 });
    return { topic, ids: (await topic.describe()).logStreams.map((it) => it.id) };
  };
  const single = await make(1);
  await throughput(single, node.pid);
  const making = performance.now();
  const many = await make(logStreams);
  const made = seconds(making);
  // Its files are made with the first records, which is not what is compared.
  await toEach(many);
  const spread = await throughput(many, node.pid);
  const alone = await throughput(single, node.pid);
  const [readMany, readAlone] = [await reading(many), await reading(single)];
  const files = filesOpen();
  await node.end('SIGKILL');
  const killed = performance.now();
  node.start();
  await cluster.ready();
  const ready = seconds(killed);
  await toEach(many);
  const what = `${logStreams.toLocaleString('en-US')} log streams on a node`;
  const [ratio, cpuRatio] = [
    spread.perSecond / alone.perSecond,
    spread.cpuMsEach / alone.cpuMsEach,
  ];
  return [
    { work: `${what}: made`, rate: made },
    {
      work: `${what}: ${APPENDERS} appenders, of the throughput with one log stream`,
      rate: `${ratio.toFixed(2)} (${Math.round(spread.perSecond)}/s), CPU of an append × ${cpuRatio.toFixed(0)}`,
    },
    {
      work: `${what}: one subscriber, of the throughput with one log stream`,
      rate: `${(readMany / readAlone).toFixed(2)} (${Math.round(readMany)}/s)`,
    },
    { work: `${what}: files open`, rate: String(files) },
    { work: `${what}: ready after kill -9`, rate: ready },
    { work: `${what}: all have taken an append after kill -9`, rate: seconds(killed) },
  ];
}

/** Appends to all of them in turn; with the CPU time that the storage node takes for one append. */
async function throughput(
  { topic, ids }: Streams,
  pid: number,
): Promise<{ perSecond: number; cpuMsEach: number }> {
  let appended = 0;
  const before = cpuMs([pid]);
  const once = () => topic.append(RECORD, { logStream: ids[appended++ % ids.length]! });
  const { perSecond } = await measure(once, ROUND);
  return { perSecond, cpuMsEach: (cpuMs([pid]) - before) / appended };
}

/** Records that one subscriber is given in a second, of those that are there. */
async function reading({ topic }: Streams): Promise<number> {
  const begin = performance.now();
  let count = 0;
  for await (const batch of topic.read().batches()) count += batch.count;
  return (count / (performance.now() - begin)) * 1000;
}

async function toEach({ topic, ids }: Streams): Promise<void> {
  const rest = [...ids];
  const loop = async (): Promise<void> => {
    for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
      await topic.append(RECORD, { logStream: id, timeoutMs: 60_000 });
    }
  };
  await Promise.all(Array.from({ length: APPENDERS }, loop));
}
