import fc from 'fast-check';
import { BATCH_BYTES_MAX } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { recordLogContract } from '../../testing/contracts/index.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { type Entry, type HeadersInput, record, type Topic, Varlog } from './index.ts';
import { type RealCluster, startRealCluster } from './real-cluster.fixture.ts';

const network = new GrpcNetwork();
const ports = { clock: realClock(), random: realRandom, network };
const utf8 = new TextEncoder();

let cluster: RealCluster;
let varlog: Varlog;
let topic: Topic;
beforeAll(async () => {
  cluster = await startRealCluster(2);
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  await varlog.ready({ storageNodes: 2 });
}, 30_000);
afterAll(async () => {
  await varlog.close();
  await cluster.close();
}, 30_000);
beforeEach(async () => {
  topic = await varlog.createTopic({ logStreams: 2 });
});

async function all<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const it of entries) found.push(it);
  return found;
}

const shown = (it: Entry<unknown>): unknown => [
  it.text(),
  it.keyBytes === undefined ? undefined : [...it.keyBytes],
  [...it.headers].map(([name, value]) => [name, [...value]]),
];

const value = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
);
const attributes = fc.record(
  {
    key: value,
    headers: fc.oneof(
      fc.array(fc.tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), value), {
        maxLength: 4,
      }),
      fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), value, {
        maxKeys: 4,
      }),
    ) as fc.Arbitrary<HeadersInput>,
  },
  { requiredKeys: [] },
);
const bytesOf = (it: string | Uint8Array): number[] => [
  ...(typeof it === 'string' ? utf8.encode(it) : it),
];

describe('a topic keeps the contract of all logs of records', () => {
  const tests = recordLogContract(async () => {
    const { id } = await varlog.createTopic({ logStreams: 2 });
    const { logStreams } = await varlog.topic(id).describe();
    return {
      logStreams: [logStreams[0]!.id, logStreams[1]!.id],
      log: varlog.topic(id),
      as: (options) => varlog.topic(id, options),
      consumers: varlog.topic(id).consumers,
      trim: (position) => varlog.topic(id).trim(position),
      close: () => varlog.deleteTopic(id),
    };
  });
  for (const { title, run } of tests) test(title, run);
});

test('whatever is given with records is read with them, from wherever in a batch', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(attributes, { nil: undefined }), { minLength: 1, maxLength: 6 }),
      attributes,
      fc.nat(),
      async (own, common, at) => {
        const values = own.map((it, i) => (it === undefined ? `${i}` : record(`${i}`, it)));
        const { glsn } = await topic.append(values, common);
        const expected = own.map((it, i) => {
          const { key, headers = [] } = it ?? common;
          const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
          const listed = pairs.map(([name, of]) => [name, bytesOf(of)]);
          return [`${i}`, key === undefined ? undefined : bytesOf(key), listed];
        });
        const skip = at % own.length;
        const to = glsn + own.length - 1;
        const part = await all(topic.read({ from: glsn + skip, to }));
        expect(part.map(shown)).toEqual(expected.slice(skip));
        for (const it of part) expect(it.timestamp).toBeGreaterThan(1.7e12);
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

test('headers are looked up by their name', async () => {
  const headers = [
    ['kind', 'first'],
    ['kind', 'second'],
    ['empty', ''],
  ] as const;
  await topic.append('a', { key: 'a key', headers });
  await topic.append('b', { key: '' });
  await topic.append('c');
  const [a, b, c] = await all(topic.read());
  expect([a!.key, a!.headers.get('kind'), a!.headers.getAll('kind')]).toEqual([
    'a key',
    'second',
    ['first', 'second'],
  ]);
  expect([a!.headers.get('empty'), a!.headers.get('Kind'), a!.headers.size]).toEqual([
    '',
    undefined,
    3,
  ]);
  expect(JSON.stringify(a!.headers)).toBe(JSON.stringify(headers));
  expect([b!.key, b!.headers.size]).toEqual(['', 0]);
  expect([c!.key, c!.keyBytes, c!.headers.size]).toEqual([undefined, undefined, 0]);
});

test.each<[unknown, string]>([
  [{ headers: { '': 'a' } }, 'has no name'],
  [{ headers: { a: 1 } }, 'header "a" is neither bytes nor text but number'],
  [{ headers: 'a=b' }, 'headers are neither'],
  [{ key: null }, 'a key is neither bytes nor text but null'],
])('refuses %j', async (given, message) => {
  await expect(topic.append('a', given as object)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    outcome: 'notAppended',
    message: expect.stringContaining(message),
  });
});

test('headers count for the size of a batch, as its nodes count it', async () => {
  const size = (bytes: number) => ({ headers: { large: new Uint8Array(bytes) } });
  const room = BATCH_BYTES_MAX - 64;
  await expect(topic.append('a', size(BATCH_BYTES_MAX))).rejects.toMatchObject({
    code: 'ENTRY_TOO_LARGE',
    outcome: 'notAppended',
  });
  await topic.append('a', size(room));
  const [entry] = await all(topic.read());
  expect(entry!.headers.bytes('large')).toHaveLength(room);
});

test('the published interface gives the payload alone', async () => {
  const { logStream, glsn } = await topic.append(['a', 'b'], { key: 'k', headers: { x: 'y' } });
  const channel = network.connect(cluster.addresses[0]!);
  const request = snpb.SubscribeRequest.create({
    topicId: topic.id,
    logStreamId: logStream,
    glsnBegin: glsn,
    glsnEnd: glsn + 2,
  });
  const payloads: string[] = [];
  const stream = channel.subscribe(snpb.LogIO.Subscribe, request);
  stream.receive(({ payload }) => {
    payloads.push(Buffer.from(payload).toString());
  });
  await stream.closed;
  channel.close();
  expect(payloads).toEqual(['a', 'b']);
});

test('reads from the time of any record, in log streams on several nodes', async () => {
  const sleep = () => new Promise((resolve) => setTimeout(resolve, 3));
  for (let i = 0; i < 12; i++) {
    await topic.append([`${i}`, `${i}'`]);
    await sleep();
  }
  const entries = await all(topic.read());
  for (const { timestamp } of entries) {
    const wanted = entries.filter((it) => it.timestamp >= timestamp).map((it) => it.glsn);
    const found = await all(topic.read({ from: { time: timestamp } }));
    expect(found.map((it) => it.glsn)).toEqual(wanted);
  }
  await topic.trim(5);
  const left = await all(topic.read({ from: { time: 0 } }));
  expect(left.map((it) => it.glsn)).toEqual(entries.slice(5).map((it) => it.glsn));
}, 30_000);
