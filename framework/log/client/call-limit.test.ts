import type { VarlogError } from '../../base/index.ts';
import type { World } from '../../testing/index.ts';
import type { NodeRoles } from '../roles/index.ts';
import type { Topic, Varlog } from './index.ts';
import { connectWithTopic, oneNodeWorld, slowDown } from './one-node.fixture.ts';

/** Each way: a call takes twice as long. */
const LATENCY_MS = 200;
/** Longer than a call waits that was given no time. */
const OUTAGE_MS = 30_000;
const TEST_TIMEOUT_MS = 120_000;

let world: World;
let varlog: Varlog;
let topic: Topic;
/** One for each log stream of the topic. */
let parts: { logStream: number; records: string }[];

beforeEach(async () => {
  world = oneNodeWorld();
  await world.play(async () => {
    ({ varlog, topic } = await connectWithTopic(world));
    const { logStreams } = await topic.describe();
    parts = logStreams.map(({ id: logStream }) => ({ logStream, records: 'x' }));
  });
}, TEST_TIMEOUT_MS);

afterEach(() => world.close());

/** What became of a call over a slow connection, and after how many virtual milliseconds. */
async function slowly(call: () => Promise<unknown>): Promise<{ fate: unknown; ms: number }> {
  slowDown(world, LATENCY_MS);
  const beganMs = world.nowMs;
  const fate = await world.play(() =>
    call().then(
      () => 'done',
      (error: unknown) => error,
    ),
  );
  return { fate, ms: world.nowMs - beganMs };
}

const CALLS: [string, (limits: { timeoutMs: number }) => Promise<unknown>][] = [
  ['createTopic', (it) => varlog.createTopic({ ...it, logStreams: 2, retention: { bytes: 1 } })],
  ['deleteTopic', (it) => varlog.deleteTopic(topic.id, it)],
  ['status', (it) => varlog.status(it)],
  ['members.list', (it) => varlog.members.list(it)],
  ['members.add', (it) => varlog.members.add({ id: 2, address: 'n2:9092' }, it)],
  ['describe', (it) => topic.describe(it)],
  ['usage', (it) => topic.usage(it)],
  ['trim', (it) => topic.trim(1, it)],
  ['addLogStream', (it) => topic.addLogStream(it)],
  ['consumers.add', (it) => topic.consumers.add('c', { ...it, from: { time: 0 } })],
  ['append', (it) => varlog.topic(topic.id + 1).append('x', { ...it, expect: { tail: 0 } })],
  ['appendAtomically', (it) => topic.appendAtomically(parts, it)],
  ['topic.fence', (it) => topic.fence(it)],
];

test.each(CALLS)(
  '%s takes no longer than its time, in however many steps',
  async (_, call) => {
    // From less than one step takes to more than all of them.
    for (const timeoutMs of [100, 500, 700, 1_000, 1_500, 2_500]) {
      const { fate, ms } = await slowly(() => call({ timeoutMs }));
      expect([timeoutMs, ms]).toEqual([timeoutMs, Math.min(ms, timeoutMs + 1)]);
      expect(String(fate)).not.toContain('INVALID_ARGUMENT');
    }
  },
  TEST_TIMEOUT_MS,
);

test.each(CALLS)(
  '%s has all of its time, however long nobody answers',
  async (_, call) => {
    world.crash('n1');
    world.after(OUTAGE_MS, () => world.restart('n1'));
    const { fate, ms } = await slowly(() => call({ timeoutMs: 2 * OUTAGE_MS }));
    if (fate === 'done') return;
    // What may have been carried out is not asked for a second time.
    expect(fate).toMatchObject({ outcome: ms < OUTAGE_MS ? 'unknown' : 'notAppended' });
  },
  TEST_TIMEOUT_MS,
);

test(
  'an atomic append that finds no way ends in time with what was the matter, and is certainly not there',
  async () => {
    const { repository } = world.process('n1') as NodeRoles;
    const { logStream } = parts[0]!;
    await world.play(() => repository!.execute({ kind: 'seal', id: logStream, byOperator: true }));
    for (let timeoutMs = 30; timeoutMs < 1_000; timeoutMs += 41) {
      const beganMs = world.nowMs;
      const fate = await world.play(() =>
        topic.appendAtomically(parts, { timeoutMs }).catch((error: VarlogError) => error),
      );
      expect(world.nowMs - beganMs).toBeLessThan(timeoutMs + 1);
      expect(fate).toMatchObject({ outcome: 'notAppended' });
      expect((fate as VarlogError).code).toMatch(/TIMEOUT|SEALED|UNAVAILABLE/);
    }
  },
  TEST_TIMEOUT_MS,
);
