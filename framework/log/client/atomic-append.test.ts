import type { Ports } from '../../base/index.ts';
import { World } from '../../testing/index.ts';
import { type NodeRoles, startRoles } from '../roles/index.ts';
import { type AtomicAck, type Topic, Varlog } from './index.ts';

const NAMES = ['n1', 'n2', 'n3'];
const addressOf = (name: string): string => `${name}:9092`;

let world: World;
/** The feature level that all nodes support, where it is not the newest. */
let level: number | undefined;

beforeEach(() => {
  world = new World(1);
  level = undefined;
});
afterEach(() => world.close());

function start(ports: Ports, name: string): Promise<NodeRoles> {
  const supported = level === undefined ? {} : { supportedLevel: level };
  return startRoles({
    ports,
    clusterId: 1,
    nodeId: NAMES.indexOf(name) + 1,
    address: addressOf(name),
    members: NAMES.map((it, i) => ({ id: i + 1, address: addressOf(it) })),
    metadata: { directory: 'metadata', replicationFactor: NAMES.length, ...supported },
    storage: { directory: 'storage', ...supported },
  });
}

interface Scene {
  readonly topic: Topic;
  readonly varlog: Varlog;
  /** Its two log streams. */
  readonly one: number;
  readonly two: number;
  /** Has a command of the metadata carried out. */
  execute(
    command: Parameters<NonNullable<NodeRoles['repository']>['execute']>[0],
  ): Promise<unknown>;
}

async function withTopic(play: (scene: Scene) => Promise<void>, inFlightBytes = 1e7) {
  for (const name of NAMES) world.node(name, (ports) => start(ports, name));
  await world.play(async () => {
    const ports = world.ports('client');
    const endpoints = NAMES.map(addressOf);
    const appends = { inFlightBytes };
    const varlog = await Varlog.connect({ endpoints, timeoutMs: 60_000, ports, appends });
    await varlog.ready({ storageNodes: NAMES.length, timeoutMs: 30_000 });
    const topic = await varlog.createTopic({ logStreams: 2 });
    const [one = 0, two = 0] = (await topic.describe()).logStreams.map((it) => it.id);
    const { repository } = world.process('n1') as NodeRoles;
    const execute: Scene['execute'] = (command) => repository!.execute(command);
    await play({ topic, varlog, one, two, execute });
    await varlog.close();
  }, 300_000);
}

const both = ({ one, two }: Scene, text: string) => [
  { logStream: one, records: text },
  { logStream: two, records: text },
];

async function textsOf(topic: Topic): Promise<string[]> {
  const texts: string[] = [];
  for await (const it of topic.read()) texts.push(it.text());
  return texts;
}

// A whole cluster is simulated: that takes a while on a busy machine.
const TEST_TIMEOUT_MS = 240_000;

describe('an atomic append', () => {
  test(
    'is there as a whole or not at all, and acknowledged where it is, while primaries are killed',
    async () => {
      await withTopic(async (scene) => {
        const { topic, varlog } = scene;
        const acks = new Map<string, AtomicAck>();
        const refused: string[] = [];
        for (let round = 0; round < 6; round++) {
          const { logStreams } = await topic.describe();
          const primary = NAMES[logStreams[round % 2]!.replicas[0]! - 1]!;
          world.after(1 + round, () => world.crash(primary, { powerLoss: round % 2 === 0 }));
          world.after(3_000, () => world.restart(primary));
          await Promise.all(
            Array.from({ length: 30 }, async (_, i) => {
              const text = `${round} ${i}`;
              try {
                acks.set(text, await topic.appendAtomically(both(scene, text)));
              } catch (error) {
                if ((error as { outcome?: string }).outcome === 'notAppended') refused.push(text);
              }
            }),
          );
          await varlog.ready({ storageNodes: NAMES.length, timeoutMs: 30_000 });
        }
        const texts = await textsOf(topic);
        const counts = new Map<string, number>();
        for (const it of texts) counts.set(it, (counts.get(it) ?? 0) + 1);
        expect([...counts.values()].filter((it) => it !== 2)).toEqual([]);
        for (const it of refused) expect(counts.has(it)).toBe(false);
        for (const [text, parts] of acks) {
          expect(parts.map(({ glsn }) => texts[glsn - 1])).toEqual([text, text]);
        }
        // Of the first rounds, whose primaries are killed at once, there may be none.
        expect(acks.size).toBeGreaterThanOrEqual(30);
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'waits for a log stream that is sealed, and other appends do not wait for it',
    async () => {
      await withTopic(async (scene) => {
        const { topic, one, two, execute } = scene;
        await execute({ kind: 'seal', id: two, byOperator: true });
        const waiting = topic.appendAtomically(both(scene, 'both'), { timeoutMs: 60_000 });
        const ack = await topic.append('a', { logStream: one, timeoutMs: 500 });
        expect(ack).toMatchObject({ glsn: 1 });
        await new Promise<void>((resolve) => world.after(6_000, resolve));
        await topic.append('b', { logStream: one, timeoutMs: 500 });
        await execute({ kind: 'release', id: two });
        expect((await waiting).map((it) => it.glsn).sort()).toEqual([3, 4]);
        expect(await textsOf(topic)).toEqual(['a', 'b', 'both', 'both']);
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'that certainly is not there says so for all of its parts',
    async () => {
      await withTopic(async (scene) => {
        const { topic, one, two, execute } = scene;
        await execute({ kind: 'seal', id: two, byOperator: true });
        const late = topic.appendAtomically(both(scene, 'late'), { timeoutMs: 1_000 });
        await expect(late).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'notAppended' });
        const stop = new AbortController();
        const { signal } = stop;
        const aborted = topic.appendAtomically(both(scene, 'aborted'), { signal });
        stop.abort(new RangeError('enough'));
        await expect(aborted).rejects.toThrow(RangeError);
        const removed = topic.appendAtomically(both(scene, 'removed'));
        await execute({ kind: 'unregisterLogStream', id: two });
        const gone = { code: 'LOG_STREAM_NOT_FOUND', outcome: 'notAppended' };
        await expect(removed).rejects.toMatchObject(gone);
        await topic.append('a', { logStream: one });
        expect(await textsOf(topic)).toEqual(['a']);
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'that is larger than what may be in flight is refused, and does not wait for itself',
    async () => {
      await withTopic(async (scene) => {
        const large = both(scene, 'x'.repeat(3_000));
        const refused = { code: 'ENTRY_TOO_LARGE', outcome: 'notAppended' };
        await expect(scene.topic.appendAtomically(large)).rejects.toMatchObject(refused);
        const some = Array.from({ length: 20 }, (_, i) => both(scene, `${i}`.padEnd(1_000)));
        await Promise.all(some.map((it) => scene.topic.appendAtomically(it)));
        expect(await textsOf(scene.topic)).toHaveLength(40);
      }, 5_000);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'is refused while the nodes are of an older version',
    async () => {
      level = 5;
      await withTopic(async (scene) => {
        await expect(scene.topic.appendAtomically(both(scene, 'a'))).rejects.toMatchObject({
          ...{ code: 'FAILED_PRECONDITION', outcome: 'notAppended' },
          message: expect.stringMatching(/level 6.*has agreed on 5.*upgrade/),
        });
        expect(await textsOf(scene.topic)).toEqual([]);
      });
    },
    TEST_TIMEOUT_MS,
  );
});
