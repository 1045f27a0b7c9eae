import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CheckpointStore, checkpointDirectory, handle, type Topic } from 'varlog/log';
import type { Program } from '../process/local-processes.ts';
import { TestCluster } from '../process/processes.ts';
import { type Series, trendOf } from './flatness.ts';
import { cpuMs, filesUnder, memoryMiB, openDescriptors } from './process-use.ts';
import { memoryAlive } from './report-memory.ts';

/**
 * `npm run soak -- --minutes 10`: three nodes under a steady load of plain appends, producers, consumers and subscribers, on
 * topics that keep little. Memory (resident, and what is alive in it), files, bytes on disk and open descriptors of every process are sampled; after the
 * warm-up they have to stay as they are. Ends with code 1 where one grows.
 */
const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    'log-streams': { type: 'string', default: '2' },
    /** Rounds of appends a second; each is some 80 KiB in 14 records. */
    rate: { type: 'string', default: '4' },
    cache: { type: 'string', default: `${16 * 1024 * 1024}` },
  },
});
const MIB = 1024 * 1024;
const SAMPLES = 60;
/** Of the samples: until caches, files and compilers have come to rest. */
const WARM_UP = 0.4;
/** What each may grow by over the time, beside a tenth: what a collector leaves behind, a file that is about to go. */
const SLACK = { rss: 24, heap: 6, external: 6, files: 8, MiB: 48, descriptors: 8 };
type Measure = keyof typeof SLACK;
const SIZES = [
  { bytes: 100, count: 10 },
  { bytes: 4 * 1024, count: 3 },
  { bytes: 64 * 1024, count: 1 },
];

const minutes = Number(flags.minutes);
await using cluster = await TestCluster.start(3, {
  flags: ['--cache-bytes', flags.cache],
  env: { NODE_OPTIONS: `--import=${join(import.meta.dirname, 'report-memory.js')}` },
});
await using varlog = await cluster.connect();
const topic = await varlog.createTopic({
  logStreams: Number(flags['log-streams']),
  retention: { bytes: 16 * MIB },
});

const beginMs = performance.now();
const endMs = beginMs + minutes * 60_000;
const isOver = (): boolean => performance.now() >= endMs;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
let appended = 0;
let handled = 0;

/** One after the other, so many a second. */
async function steadily(perSecond: number, append: (batch: Uint8Array[]) => Promise<unknown>) {
  for (let i = 0; !isOver(); i++) {
    const due = beginMs + (i * 1_000) / perSecond;
    await pause(Math.max(0, due - performance.now()));
    const { bytes, count } = SIZES[i % SIZES.length]!;
    await append(Array.from({ length: count }, () => new Uint8Array(bytes)));
    appended += count;
  }
}

/** Some of it fails now and then, and is passed over. */
function consume(of: Topic, name: string, checkpoint?: CheckpointStore) {
  let count = 0;
  const options = { name, attempts: 1, onError: 'skip' as const, concurrency: 4 };
  return of.process(checkpoint === undefined ? options : { ...options, checkpoint }, () => {
    handled++;
    if (++count % 1_000 === 0) throw new RangeError('one of a thousand');
  });
}

const producer = await topic.producer({ id: 1 });
const each = (Number(flags.rate) * SIZES.length) / 2;
const working = [
  steadily(each, (batch) => topic.append(batch)),
  steadily(each, (batch) => producer.append(batch)),
];
const consumers = [
  consume(topic, 'in the cluster'),
  consume(topic, 'in a file', checkpointDirectory(cluster.processes.folder('checkpoints'))),
];
const subscriptions = [
  topic.tail$({ from: 'end' }).subscribe(() => handled++),
  topic
    .tail$({ from: 'end' })
    .pipe(handle(() => pause(1)))
    .subscribe(() => handled++),
];

/** What a node holds in memory. */
function memoryOf(node: Program): Promise<NodeJS.MemoryUsage> {
  return new Promise((resolve, reject) => {
    node.hearOnce(
      (message) => resolve((message as { memory: NodeJS.MemoryUsage }).memory),
      () => reject(new Error(`a node ended:\n${node.output}`)),
    );
    node.send({ memory: true });
  });
}

/** By process and measure. */
const sampled = new Map<string, { measure: Measure; minutes: number[]; values: number[] }>();

function sample(who: string, found: Partial<Record<Measure, number>>): string {
  const at = (performance.now() - beginMs) / 60_000;
  for (const [measure, value] of Object.entries(found) as [Measure, number][]) {
    const name = `${who} ${measure}`;
    const series = sampled.get(name) ?? { measure, minutes: [], values: [] };
    series.minutes.push(at);
    series.values.push(value);
    sampled.set(name, series);
  }
  return Object.values(found)
    .map((it) => Math.round(it))
    .join('/');
}

function ofMemory({ heapUsed, external }: NodeJS.MemoryUsage) {
  return { heap: heapUsed / MIB, external: external / MIB };
}

const pids = cluster.nodes.map((it) => it.pid);
const usedBefore = cpuMs([process.pid, ...pids]);
console.log(
  'minutes | appended | handled | of each node and of this process: MiB resident/heap/external, …',
);
for (let i = 0; i < SAMPLES; i++) {
  await pause((endMs - performance.now()) / (SAMPLES - i));
  const lines: string[] = [];
  for (const [index, node] of cluster.nodes.entries()) {
    const { files, bytes } = filesUnder(cluster.folderOf(index + 1));
    const found = {
      rss: memoryMiB(node.pid),
      ...ofMemory(await memoryOf(node)),
      files,
      MiB: bytes / MIB,
      descriptors: openDescriptors(node.pid),
    };
    lines.push(sample(`node ${index + 1}`, found));
  }
  const own = { rss: memoryMiB(process.pid), ...ofMemory(memoryAlive()) };
  lines.push(sample('client', { ...own, descriptors: openDescriptors(process.pid) }));
  const at = ((performance.now() - beginMs) / 60_000).toFixed(1);
  console.log([at, appended, handled, ...lines].join(' | '));
}
const usedMs = cpuMs([process.pid, ...pids]) - usedBefore;
await Promise.all(working);
for (const it of consumers) await it.caughtUp({ timeoutMs: 60_000 });
for (const it of consumers) await it.close();
for (const it of subscriptions) it.unsubscribe();

const trends = [...sampled].map(([name, { measure, ...found }]) => {
  const from = Math.floor(found.values.length * WARM_UP);
  const series: Series = {
    name,
    minutes: found.minutes.slice(from),
    values: found.values.slice(from),
    slack: SLACK[measure],
  };
  return trendOf(series);
});
console.log(`${appended} records; ${((usedMs / (minutes * 60_000)) * 100).toFixed(0)} % of a core`);
for (const { name, median, max, perMinute, flat } of trends) {
  const level = `${median.toFixed(0)}, at the most ${max.toFixed(0)}, ${perMinute.toFixed(2)} a minute`;
  console.log(`${flat ? 'flat ' : 'GROWS'} ${name}: ${level}`);
}
if (trends.some((it) => !it.flat)) process.exitCode = 1;
