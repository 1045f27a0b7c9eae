import { producerOf } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { readExport } from './export-format.ts';
import { checkExport, resumableExport } from './export-topic.ts';
import { record, Varlog } from './index.ts';
import { type RealCluster, startRealCluster } from './real-cluster.fixture.ts';
import type { Topic } from './topic.ts';

let cluster: RealCluster;
let varlog: Varlog;

beforeAll(async () => {
  cluster = await startRealCluster(2);
  const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  await varlog.ready({ storageNodes: 2, timeoutMs: 30_000 });
  // The members agree on what these need within a second.
  for (;;) {
    const { featureLevel } = await varlog.status();
    if (featureLevel >= 5) break;
  }
}, 60_000);

afterAll(async () => {
  await varlog.close();
  await cluster.close();
});

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const it of source) chunks.push(new Uint8Array(it));
  return new Uint8Array(Buffer.concat(chunks));
}

const source = (bytes: Uint8Array) =>
  async function* () {
    yield bytes;
  };

async function recordsOf(topic: Topic): Promise<string[]> {
  const found: string[] = [];
  for await (const it of topic.read()) found.push(`${it.glsn} ${it.text()}`);
  return found;
}

async function filled(count: number): Promise<Topic> {
  const topic = await varlog.createTopic({ logStreams: 2 });
  const all = Array.from({ length: count }, (_, i) =>
    topic.append(i % 3 === 0 ? [`record ${i}`, `${i} beside it`] : `record ${i}`),
  );
  await Promise.all(all);
  return topic;
}

test('an imported topic has the same records at the same positions, and the same sum', async () => {
  const topic = await filled(60);
  // The positions do not begin at 1, and in the middle of a batch.
  await topic.trim(17);
  const made = topic.export({ to: 70 });
  expect(() => made.summary).toThrow(/not through/);
  const bytes = await bytesOf(made);
  expect(made.summary).toMatchObject({ first: 18, last: 70, records: 53, topicId: topic.id });
  expect(await checkExport(source(bytes)())).toEqual(made.summary);

  const imported = await varlog.importTopic(source(bytes));
  expect(imported).toMatchObject({ shift: 0, first: 18, last: 70, hash: made.summary.hash });
  expect(await imported.topic.watermarks()).toEqual({ first: 18, last: 70 });
  expect(await recordsOf(imported.topic)).toEqual((await recordsOf(topic)).slice(0, 53));

  const again = imported.topic.export();
  await bytesOf(again);
  expect(again.summary.hash).toBe(made.summary.hash);
  expect((await imported.topic.append('more')).glsn).toBe(71);
  await imported.topic.addLogStream();
}, 60_000);

test('keys, headers and batches of records come along', async () => {
  const topic = await varlog.createTopic();
  await topic.append([record('a', { key: 'k', headers: { kind: 'y' } }), 'b']);
  await topic.append('c');
  const imported = await varlog.importTopic(source(await bytesOf(topic.export())));
  const found: unknown[] = [];
  for await (const batch of imported.topic.read().batches()) {
    found.push(batch.entries().map((it) => [it.text(), it.key, [...it.headers]]));
  }
  const due: unknown[] = [];
  for await (const batch of topic.read().batches()) {
    due.push(batch.entries().map((it) => [it.text(), it.key, [...it.headers]]));
  }
  expect(found).toEqual(due);
  expect(due).toHaveLength(2);
}, 60_000);

test('what a producer appended is imported as anything else', async () => {
  const topic = await varlog.createTopic();
  const producer = await topic.producer({ id: 7 });
  for (const it of ['a', 'b', 'c']) await producer.append(it);
  for await (const { bytes, count } of topic.read().batches()) {
    expect(producerOf({ bytes, count })).toMatchObject({ id: 7 });
  }
  const bytes = await bytesOf(topic.export());
  for await (const part of readExport(source(bytes)())) {
    if (part.kind === 'batch') expect(producerOf(part.batch)).toBeUndefined();
  }
  const imported = await varlog.importTopic(source(bytes));
  expect(await recordsOf(imported.topic)).toEqual(await recordsOf(topic));
  const again = imported.topic.export();
  await bytesOf(again);
  expect(again.summary.hash).toBe(imported.hash);
}, 60_000);

test('an empty topic is exported and imported, and goes on where it was', async () => {
  const topic = await filled(2);
  const { last } = await topic.watermarks();
  await topic.trim(last);
  const bytes = await bytesOf(topic.export());
  const imported = await varlog.importTopic(source(bytes));
  expect(imported).toMatchObject({ records: 0, shift: 0 });
  expect((await imported.topic.append('a record')).glsn).toBe(last + 1);
}, 60_000);

test('a file that is damaged or cut off makes no topic', async () => {
  const topic = await filled(10);
  const bytes = await bytesOf(topic.export());
  const before = await varlog.topics();
  const cut = bytes.subarray(0, bytes.length - 1);
  await expect(varlog.importTopic(source(cut))).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringMatching(/cut off: at byte \d+, where record \d+ should be/),
  });
  const damaged = bytes.slice();
  damaged[bytes.length - 100]! ^= 1;
  await expect(varlog.importTopic(source(damaged))).rejects.toMatchObject({ code: 'CORRUPT' });
  expect(await varlog.topics()).toEqual(before);
}, 60_000);

test('a file that changes while it is imported makes no topic', async () => {
  const topic = await filled(10);
  const bytes = await bytesOf(topic.export());
  const before = await varlog.topics();
  let times = 0;
  const open = () => source(times++ === 0 ? bytes : bytes.subarray(0, bytes.length - 1))();
  await expect(varlog.importTopic(open)).rejects.toMatchObject({ code: 'CORRUPT' });
  expect(await varlog.topics()).toEqual(before);
}, 60_000);

test('an interrupted export goes on after its last whole batch, and gives the same bytes', async () => {
  const topic = await filled(20);
  const whole = await bytesOf(topic.export());
  for (const length of [10, 200, 700, whole.length - 1]) {
    const resume = await resumableExport(source(whole.subarray(0, length))());
    if (resume === undefined || resume === 'whole') {
      expect(length).toBe(10);
      continue;
    }
    const rest = await bytesOf(topic.export({ resume }));
    expect(Buffer.concat([whole.subarray(0, resume.bytes), rest]).equals(whole)).toBe(true);
  }
  expect(await resumableExport(source(whole)())).toBe('whole');
  const other = await filled(1);
  const resume = await resumableExport(source(whole.subarray(0, 700))());
  if (resume === undefined || resume === 'whole') throw new Error('nothing to go on with');
  await expect(bytesOf(other.export({ resume }))).rejects.toMatchObject({
    code: 'IDENTITY_MISMATCH',
  });
  await expect(bytesOf(topic.export({ resume, to: 1 }))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
}, 60_000);

test('what there is not is not exported', async () => {
  const topic = await filled(1);
  await expect(bytesOf(topic.export({ to: 99 }))).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
  expect(() => topic.export({ to: -1 })).toThrow(/POSITION_OUT_OF_RANGE|INVALID_ARGUMENT/);
}, 60_000);

test('a topic says how much is kept, and who keeps it', async () => {
  const topic = await varlog.createTopic({ logStreams: 2, retention: { bytes: 1e9 } });
  for (let i = 0; i < 10; i++) await topic.append(new Uint8Array(10_000));
  expect((await topic.describe()).retention).toEqual({ bytes: 1e9 });
  await topic.hold('a consumer', 4);
  await topic.trim(2);
  const usage = await topic.usage();
  expect(usage).toMatchObject({ first: 3, last: 10, unknown: [], expired: 0 });
  expect(usage.keepers).toMatchObject([
    { kind: 'retention', holder: '', position: 2 },
    { kind: 'hold', holder: 'a consumer', position: 4 },
  ]);
  expect(usage.bytes).toBeGreaterThan(70_000);
  expect(usage.bytes).toBeLessThan(100_000);
  const [retention, hold] = usage.keepers;
  expect(retention!.bytes).toBe(usage.bytes);
  expect(hold!.bytes).toBeLessThan(usage.bytes);
  expect(retention!.alone).toBe(usage.bytes - hold!.bytes);
  await topic.setRetention({ ageMs: 1_000 });
  const { topics } = await varlog.status();
  expect(topics.find(({ id }) => id === topic.id)!.retention).toEqual({ ageMs: 1_000 });
  await topic.setRetention({});
  await expect(topic.setRetention({ bytes: 0.5 })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  expect((await topic.usage()).keepers).toMatchObject([{ kind: 'hold' }]);
}, 60_000);
