import { z } from 'zod';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { SeekRequest } from '../../wire/gen/log.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import {
  bytes,
  json,
  type OnDecodeError,
  protobuf,
  type RecordCodec,
  record,
  text,
  Varlog,
} from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
let cluster: FakeCluster;
let varlog: Varlog;
beforeEach(async () => {
  cluster = await FakeCluster.start(ports.network, [[1], [2]]);
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
});
afterEach(async () => {
  await varlog.close();
  await cluster.close();
});

const order = z.object({ id: z.string(), amount: z.number().default(1), at: z.coerce.date() });
const orders = (onDecodeError?: OnDecodeError) =>
  varlog.topic(1, {
    codec: json(order),
    ...(onDecodeError === undefined ? {} : { onDecodeError }),
  });
const good = { id: 'a', at: '2026-01-01T00:00:00Z' };

test('a schema is what values go by, when written and when read', async () => {
  const topic = orders();
  await topic.append([good, record({ id: 'b', amount: 2, at: new Date(5) }, { key: 'b' })]);
  const found: z.output<typeof order>[] = [];
  const keys: unknown[] = [];
  for await (const entry of topic.read()) {
    found.push(entry.value);
    keys.push(entry.key);
  }
  expect(found).toEqual([
    { id: 'a', amount: 1, at: new Date('2026-01-01T00:00:00Z') },
    { id: 'b', amount: 2, at: new Date(5) },
  ]);
  expect(keys).toEqual([undefined, 'b']);
  // What is stored is what was given.
  expect(cluster.texts()[0]).toBe(JSON.stringify(good));
});

test('what does not fit the schema is not appended, nor are those beside it', async () => {
  const bad = { id: 3, at: 'never' } as never;
  await expect(orders().append([good, bad])).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    outcome: 'notAppended',
    details: { record: 1 },
    message: expect.stringMatching(/record 1 .*does not fit its schema: id: .*; at: /),
  });
  expect(cluster.texts()).toEqual([]);
});

test('what readers would get after JSON is what is checked', async () => {
  const topic = varlog.topic(1, { codec: json(z.object({ at: z.date() })) });
  await expect(topic.append({ at: new Date() })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

test('a schema that waits is refused', async () => {
  const slow = z.string().refine(async () => true);
  const topic = varlog.topic(1, { codec: json(slow) });
  await expect(topic.append('a')).rejects.toThrow(/asynchronous/);
});

describe('a record that the codec does not take', () => {
  const place = { topic: 1, glsn: 2, llsn: 2, logStream: 1 };
  beforeEach(() => {
    const text = JSON.stringify(good);
    cluster.commit(1, [text, 'not JSON', text]);
    cluster.commit(2, ['{"id":1}']);
  });

  test('ends the reading, after those before it', async () => {
    const found: number[] = [];
    const read = orders().read();
    const reading = async () => {
      for await (const { glsn } of read) found.push(glsn);
    };
    await expect(reading()).rejects.toMatchObject({ code: 'DECODE_FAILED', details: place });
    expect(found).toEqual([1]);
    expect(read.status).toMatchObject({ state: 'closed', error: { code: 'DECODE_FAILED' } });
  });

  test('ends an Observable, after those before it', async () => {
    const found: number[] = [];
    const ended = new Promise((_, reject) => {
      orders()
        .tail$({ from: 'start' })
        .subscribe({
          next: ({ glsn }) => found.push(glsn),
          error: reject,
        });
    });
    await expect(ended).rejects.toMatchObject({ code: 'DECODE_FAILED', details: place });
    expect(found).toEqual([1]);
  });

  test('is skipped, and dealt with', async () => {
    const tail = orders('skip').tail({ from: 'start' });
    const found: number[] = [];
    const reading = (async () => {
      for await (const { glsn } of tail) found.push(glsn);
    })();
    await tail.caughtUp();
    tail.close();
    await reading;
    expect(found).toEqual([1, 3]);
  });

  test('is skipped by an Observable, and dealt with', async () => {
    const tail = orders('skip').tail$({ from: 'start' });
    const found: number[] = [];
    const following = tail.subscribe(({ glsn }) => found.push(glsn));
    await tail.caughtUp();
    following.unsubscribe();
    expect(found).toEqual([1, 3]);
  });

  test('passes, and says what is wrong with it when asked', async () => {
    const found: unknown[] = [];
    for await (const entry of orders('pass').read()) {
      const { decodeError } = entry;
      found.push(decodeError === undefined ? entry.value.id : decodeError.details);
      if (decodeError !== undefined) expect(() => entry.value).toThrow(decodeError);
    }
    const { 0: first, 1: second, 2: third, 3: fourth } = found;
    expect([first, second, third]).toEqual(['a', place, 'a']);
    expect(fourth).toEqual({ topic: 1, glsn: 4, llsn: 1, logStream: 2 });
  });
});

test('each codec gives back what it was given', async () => {
  const back = async <T, In>(codec: RecordCodec<T, In>, given: In): Promise<T> => {
    const topic = varlog.topic(1, { codec });
    // An array would be a batch of its items.
    const { glsn } = await topic.append([record(given, {})] as never);
    for await (const { value } of topic.read({ from: glsn })) return value;
    throw new Error('nothing was read');
  };
  expect(await back(text, '\uFEFFä')).toBe('\uFEFFä');
  expect(await back(bytes, new Uint8Array([1, 255]))).toEqual(Buffer.from([1, 255]));
  expect(await back(json<number[]>(), [1, 2])).toEqual([1, 2]);
  const message = SeekRequest.create({ topicId: 3, timestamp: 4 });
  expect(await back(protobuf(SeekRequest), message)).toEqual(message);
  const builder = {
    encode: (it: string) => ({ finish: () => text.encode(it) }),
    decode: text.decode,
  };
  expect(await back(protobuf(builder), 'a')).toBe('a');
});

test('an array is several records, also where each of them is one', async () => {
  const topic = varlog.topic(1, { codec: json<number[]>() });
  // @ts-expect-error: it would be a batch of numbers
  const wrong = () => topic.append([1, 2] satisfies number[]);
  expect(wrong).toBeDefined();
  expect(await topic.append([[1, 2]])).toMatchObject({ count: 1 });
});

test.each<[RecordCodec<unknown, never>, unknown]>([
  [text, 3],
  [bytes, {}],
  [json<unknown>(), undefined],
  [json<unknown>(), 3n],
  [json<unknown>(), { to: new Map([[1, 2]]) }],
  [json<unknown>(), [Number.NaN]],
  [json(z.object({ to: z.unknown() })), { to: new Set([1]) }],
  [{ encode: () => 'no bytes' as never, decode: (it) => it }, 'a'],
])('refuses to encode what is none: %#', async (codec, value) => {
  await expect(varlog.topic(1, { codec }).append(value as never)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    outcome: 'notAppended',
  });
});

test('bytes that are no text are no text', async () => {
  await varlog.topic(1).append(new Uint8Array([0xff]));
  const read = varlog.topic(1, { codec: text }).read()[Symbol.asyncIterator]();
  await expect(read.next()).rejects.toMatchObject({ code: 'DECODE_FAILED' });
});

test('refuses what is no codec, and no policy', () => {
  const codec = json<string>();
  for (const options of [
    { codec: undefined },
    { codec: 'json' },
    { codec, onDecodeError: 'ignore' },
  ]) {
    expect(() => varlog.topic(1, options as never)).toThrow(/INVALID_ARGUMENT/);
  }
});
