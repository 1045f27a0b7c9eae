import { type Ports, recordLimits, VarlogError } from '../../base/index.ts';
import { World } from '../../testing/index.ts';
import { type NodeRoles, startRoles } from '../roles/index.ts';
import type { ClientContext } from './client-context.ts';
import { bytes, json, record, type Topic, Varlog } from './index.ts';
import { TopicProducer } from './producer.ts';

const NAMES = ['n1', 'n2', 'n3'];
const addressOf = (name: string): string => `${name}:9092`;

let world: World;
/** Feature levels that nodes support, where not all. */
let levels: Record<string, { metadata?: number; storage?: number }>;

beforeEach(() => {
  world = new World(1);
  levels = {};
});
afterEach(() => world.close());

function start(ports: Ports, name: string): Promise<NodeRoles> {
  const { metadata, storage } = levels[name] ?? {};
  return startRoles({
    ports,
    clusterId: 1,
    nodeId: NAMES.indexOf(name) + 1,
    address: addressOf(name),
    members: NAMES.map((it, i) => ({ id: i + 1, address: addressOf(it) })),
    metadata: {
      directory: 'metadata',
      replicationFactor: NAMES.length,
      ...(metadata === undefined ? {} : { supportedLevel: metadata }),
    },
    storage: {
      directory: 'storage',
      ...(storage === undefined ? {} : { supportedLevel: storage }),
    },
  });
}

/** Runs something against a cluster with one topic, of two log streams. */
async function withTopic(scene: (topic: Topic, varlog: Varlog) => Promise<void>): Promise<void> {
  for (const name of NAMES) world.node(name, (ports) => start(ports, name));
  await world.play(async () => {
    const ports = world.ports('client');
    const endpoints = NAMES.map(addressOf);
    const varlog = await Varlog.connect({ endpoints, timeoutMs: 60_000, ports });
    await varlog.ready({ storageNodes: NAMES.length, timeoutMs: 30_000 });
    await scene(await varlog.createTopic({ logStreams: 2 }), varlog);
    await varlog.close();
  }, 120_000);
}

async function textsOf(topic: Topic): Promise<string[]> {
  const texts: string[] = [];
  for await (const it of topic.read()) texts.push(it.text());
  return texts;
}

describe('a producer', () => {
  test('that is opened while its client is closed takes nothing', async () => {
    const closed = new VarlogError('CLOSED', { what: 'the client was closed' });
    const context = {
      ports: world.ports('client'),
      appender: { recordLimits: recordLimits() },
      lifetime: AbortSignal.abort(closed),
    } as unknown as ClientContext;
    const identity = { topic: 1, id: 1, epoch: 1, logStream: 1 };
    const producer = new TopicProducer(identity, context, bytes);
    expect(producer.failure).toBe(closed);
    await expect(producer.append('a')).rejects.toMatchObject({
      code: 'CLOSED',
      outcome: 'notAppended',
    });
  });

  test('appends values of the topic, with key and headers', async () => {
    await withTopic(async (topic, varlog) => {
      const typed = varlog.topic(topic.id, { codec: json<{ amount: number }>() });
      const producer = await typed.producer({ id: 7 });
      await producer.append({ amount: 1 }, { key: 'a', headers: { kind: 'first' } });
      await producer.append([record({ amount: 2 }, { key: 'b' }), { amount: 3 }]);
      const found: unknown[] = [];
      for await (const it of typed.read()) found.push([it.value, it.key, it.headers.toJSON()]);
      expect(found).toEqual([
        [{ amount: 1 }, 'a', [['kind', 'first']]],
        [{ amount: 2 }, 'b', []],
        [{ amount: 3 }, undefined, []],
      ]);
    });
  });

  test('appends what it is given in one moment in the order of the calls, in one log stream', async () => {
    await withTopic(async (topic) => {
      const producer = await topic.producer({ id: 7 });
      const texts = Array.from({ length: 200 }, (_, i) => `${i}`);
      const acks = await Promise.all(texts.map((it) => producer.append(it)));
      expect(await textsOf(topic)).toEqual(texts);
      expect(acks.map((it) => it.sequence)).toEqual(texts.map(Number));
      expect(new Set(acks.map((it) => it.logStream))).toEqual(new Set([producer.logStream]));
      expect(await producer.append(['a', 'b'])).toMatchObject({
        ...{ glsn: 201, llsn: 201, count: 2, sequence: 200, duplicate: false },
      });
    });
  });

  test('loses and repeats nothing while its primary is killed, and hears what was there before', async () => {
    await withTopic(async (topic, varlog) => {
      const producer = await topic.producer({ id: 7 });
      let duplicates = 0;
      const texts: string[] = [];
      for (let round = 0; round < 6; round++) {
        const some = Array.from({ length: 40 }, (_, i) => `${round} ${i}`);
        texts.push(...some);
        const { replicas } = (await topic.describe()).logStreams.find(
          (it) => it.id === producer.logStream,
        )!;
        const primary = NAMES[replicas[0]! - 1]!;
        world.after(1 + round, () => world.crash(primary, { powerLoss: round % 2 === 0 }));
        world.after(3_000, () => world.restart(primary));
        const acks = await Promise.all(some.map((it) => producer.append(it)));
        duplicates += acks.filter((it) => it.duplicate).length;
        await varlog.ready({ storageNodes: NAMES.length, timeoutMs: 30_000 });
      }
      expect(await textsOf(topic)).toEqual(texts);
      expect(duplicates).toBeGreaterThan(0);
    });
  });

  test('is fenced off once a later one of its id has appended', async () => {
    await withTopic(async (topic) => {
      const first = await topic.producer({ id: 7 });
      await first.append('a');
      const second = await topic.producer({ id: 7 });
      expect([second.epoch > first.epoch, second.logStream]).toEqual([true, first.logStream]);
      await first.append('b');
      expect(await second.append('c')).toMatchObject({ sequence: 0 });
      const fenced = { code: 'PRODUCER_FENCED', outcome: 'notAppended' };
      await expect(first.append('d')).rejects.toMatchObject(fenced);
      expect(first.failure).toMatchObject({ code: 'PRODUCER_FENCED' });
      await expect(first.append('e')).rejects.toMatchObject(fenced);
      await second.append('f');
      expect(await textsOf(topic)).toEqual(['a', 'b', 'c', 'f']);
    });
  });

  test('outlives what was refused before it had a place, and ends with anything else', async () => {
    await withTopic(async (topic, varlog) => {
      await expect(topic.producer({ id: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      const producer = await topic.producer({ id: 2 ** 53 - 1 });
      await expect(producer.append([])).rejects.toMatchObject({ code: 'EMPTY_BATCH' });
      const large = new Uint8Array(1024 * 1024 + 1);
      await expect(producer.append(large)).rejects.toMatchObject({ code: 'ENTRY_TOO_LARGE' });
      expect(await producer.append('a')).toMatchObject({ sequence: 0 });
      const stop = new AbortController();
      const given = producer.append('b', { signal: stop.signal });
      stop.abort(new Error('enough'));
      await expect(given).rejects.toThrow('enough');
      expect(await producer.append('c')).toMatchObject({ sequence: 2 });
      expect(await textsOf(topic)).toEqual(['a', 'b', 'c']);
      const waiting = producer.append('d');
      producer.close();
      await expect(waiting).rejects.toMatchObject({ code: 'CLOSED', outcome: 'notAppended' });
      await expect(producer.append('e')).rejects.toMatchObject({ code: 'CLOSED' });
      const other = await topic.producer({ id: 1 });
      await varlog.close();
      await expect(other.append('f')).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });

  test('ends when its log stream is removed, and is given another one when it is opened anew', async () => {
    await withTopic(async (topic) => {
      const producer = await topic.producer({ id: 7 });
      await producer.append('a');
      const node = world.process(NAMES[0]!) as NodeRoles;
      const { logStream } = producer;
      await node.repository!.execute({ kind: 'seal', id: logStream, byOperator: true });
      const waiting = producer.append('b');
      await node.repository!.execute({ kind: 'unregisterLogStream', id: logStream });
      await expect(waiting).rejects.toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
      const next = await topic.producer({ id: 7 });
      expect(next.logStream).not.toBe(logStream);
      expect(await next.append('c')).toMatchObject({ sequence: 0 });
    });
  });

  test('outlasts that no node answers, for longer than a look for its log stream may take', async () => {
    await withTopic(async (topic) => {
      const producer = await topic.producer({ id: 7 });
      await producer.append('a');
      for (const name of NAMES) world.crash(name);
      world.after(30_000, () => {
        for (const name of NAMES) world.restart(name);
      });
      expect(await producer.append('b', { timeoutMs: 60_000 })).toMatchObject({ sequence: 1 });
      expect(await textsOf(topic)).toEqual(['a', 'b']);
    });
  });

  test('says after its time whether the batch may be in the log, and fails all behind it', async () => {
    await withTopic(async (topic) => {
      const producer = await topic.producer({ id: 7 });
      await producer.append('a');
      for (const name of NAMES) world.crash(name);
      const late = producer.append('b', { timeoutMs: 2_000 });
      const behind = producer.append('c');
      await expect(late).rejects.toMatchObject({ code: 'TIMEOUT', outcome: expect.any(String) });
      await expect(behind).rejects.toMatchObject({ code: 'TIMEOUT' });
      await expect(producer.append('d')).rejects.toMatchObject({ outcome: 'notAppended' });
    });
  });

  test.each([
    ['member 2 of the metadata repository', { metadata: 4, storage: 5 }],
    ['storage node 2', { metadata: 5, storage: 4 }],
  ])(
    'is refused while %s is of an older version, and works once that was upgraded',
    async (who, its) => {
      levels = Object.fromEntries(NAMES.map((it) => [it, { metadata: 4, storage: 4 }]));
      await withTopic(async (topic) => {
        const restart = (name: string): void => {
          world.crash(name);
          world.restart(name);
        };
        const until = async (message: RegExp): Promise<void> => {
          while (!message.test(String(await topic.producer({ id: 7 }).catch(String)))) {
            await new Promise<void>((resolve) => world.after(200, resolve));
          }
        };
        await until(/FAILED_PRECONDITION.*level 5.*upgrade/);
        levels = { n2: its };
        for (const name of NAMES) restart(name);
        await until(
          new RegExp(`FAILED_PRECONDITION.*level 5.*\\(${who} supports level 4\\).*upgrade`),
        );
        levels = {};
        restart('n2');
        await until(/object/);
        expect(await (await topic.producer({ id: 7 })).append('a')).toMatchObject({ sequence: 0 });
        // It cannot be gone back on.
        levels = { n2: { storage: 4 } };
        restart('n2');
        const refused = (): string =>
          `${(world.process('n2') as NodeRoles | undefined)?.storageNode?.status.refusal?.message}`;
        while (!/FAILED_PRECONDITION.*storage node 2 does not support.*start/.test(refused())) {
          await new Promise<void>((resolve) => world.after(200, resolve));
        }
      });
    },
  );
});
