import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { type Topic, Varlog } from '../../framework/log/client/index.ts';
import { startReplica } from '../../framework/smr/index.ts';
import { type RunReport, type SimulatedDisk, World } from '../../framework/testing/index.ts';
import { Memory, must } from './memory.ts';
import { connect, endpoints, makeTopic, NODES, startNode } from './three-nodes.ts';

/** Until what is broken has been noticed everywhere, and what can be mended is mended. */
const SETTLING_MS = 20_000;
const WATCHED_MS = 10_000;
/** What each of those that wait may do in a second, nodes and clients alike: the messages, timers and writes of some tries. */
const EVENTS_PER_SECOND = 250;
const REPLICAS = 'storage/replicas/';
/** From when all is well again. */
const MENDED_WITHIN_MS = 120_000;
/** What comes before is trimmed. */
const BEGIN = 6;
/** The record that a tail waits for. */
const LAST = 'last';

/**
 * Something of a cluster is missing or broken and stays so, while clients of all kinds wait for what may never come.
 * However long that takes, nobody spins: a node and a client do no more in a second than a few tries come to. What can be mended is mended in the end: then all that they waited for comes.
 */
export async function quietScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    for (const name of NODES) world.node(name, (ports) => startNode(ports, name));
    const topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    const random = world.random.stream('what is broken');
    const waiters = Object.keys(WAITING).filter(() => random.below(3) > 0);
    const isFirst = random.below(2) === 0;
    const broken = Object.entries(BROKEN);
    const [what, breakIt] = broken[seed % broken.length]!;
    const clients = waiters.map((it) => world.ports(it));
    await world.play(() => fill(world.ports('operator'), topicId, 'before'));
    await world.play(() => agreed(world.ports('operator'), topicId), 60_000);
    if (isFirst) await breakIt(world);
    let over = false;
    const ended = waiters.map((it, i) => wait(clients[i]!, topicId, WAITING[it]!, () => over));
    const results = Promise.allSettled(ended);
    await world.run(2_000);
    if (!isFirst) await breakIt(world);
    await world.run(SETTLING_MS);
    const before = world.eventCount;
    await world.run(WATCHED_MS);
    const rate = Math.round(((world.eventCount - before) * 1_000) / WATCHED_MS);
    const most = EVENTS_PER_SECOND * (NODES.length + waiters.length);
    must(
      rate <= most,
      `${rate} things a second, and not ${most} (${what}; ${waiters.join(', ')}):\n${busiest(world)}`,
    );
    if (!LOST_FOR_GOOD.has(what)) {
      mend(world);
      over = true;
      await world.play(() => fill(world.ports('operator'), topicId, LAST), MENDED_WITHIN_MS);
      const settled = await world.play(() => results, MENDED_WITHIN_MS);
      settled.forEach((it, i) => {
        const why = it.status === 'rejected' ? String(it.reason) : '';
        must(why === '', `what is mended is used by the ${waiters[i]} (${what}): ${why}`);
      });
    }
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

/** What happens most, for people. */
function busiest(world: World): string {
  const counts = new Map<string, number>();
  for (const line of world.trace.last()) {
    const kind = line
      .replace(/^\S+ /, '')
      .replace(/\d{2,}/g, '#')
      .slice(0, 60);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a).slice(0, 12);
  return sorted.map(([kind, count]) => `${count} x ${kind}`).join('\n');
}

async function fill(ports: Ports, topicId: number, text: string): Promise<void> {
  const varlog = await connect(ports);
  for (let i = 0; i < 20; i++) await varlog.topic(topicId).append(text, { timeoutMs: Infinity });
  await varlog.close();
}

/** Until the cluster has agreed on what its version can do: before, producers are refused. */
async function agreed(ports: Ports, topicId: number): Promise<void> {
  const varlog = await connect(ports);
  const open = () => varlog.topic(topicId).producer({ id: 1 });
  while ((await open().catch(isRefused)) === undefined) await sleep(ports.clock, 100);
  await varlog.close();
}

function isRefused(error: unknown): undefined {
  must(VarlogError.is(error, 'FAILED_PRECONDITION'), String(error));
}

/** What a client has, that waits for as long as it takes. */
interface Client {
  readonly topic: Topic;
  readonly varlog: Varlog;
  readonly ports: Ports;
  readonly over: () => boolean;
}

type Wait = (client: Client) => Promise<unknown>;

async function wait(ports: Ports, topicId: number, work: Wait, over: () => boolean): Promise<void> {
  const varlog = await Varlog.connect({ endpoints, timeoutMs: Infinity, ports });
  await work({ topic: varlog.topic(topicId), varlog, ports, over });
  await varlog.close();
}

const FOREVER = { timeoutMs: Infinity };
const never = (): Promise<void> => Promise.reject(new Error('never'));

/** They end once all is well again. */
const WAITING: Record<string, Wait> = {
  appender: async ({ topic, ports, over }) => {
    for (; !over(); await sleep(ports.clock, 1_000)) {
      await topic.append('more', FOREVER).catch(isUnknown);
    }
  },
  producer: async ({ topic }) => {
    const producer = await topic.producer({ id: 7, ...FOREVER });
    await producer.append('once', FOREVER);
  },
  reader: async ({ topic, ports, over }) => {
    const readOnce = async (): Promise<void> => {
      for await (const _ of topic.read({ from: BEGIN }));
    };
    for (; !over(); await sleep(ports.clock, 1_000)) await readOnce().catch(isRetryable);
    await readOnce();
  },
  tail: async ({ topic }) => {
    for await (const entry of topic.tail({ from: BEGIN })) if (entry.text() === LAST) return;
  },
  consumer: async ({ topic, ports, over }) => {
    const consumer = topic.process({ name: 'fails', attempts: 1_000_000, from: BEGIN }, never);
    while (!over()) await sleep(ports.clock, 1_000);
    await consumer.close();
  },
  parking: async ({ topic, ports, over }) => {
    const options = { name: 'parks', attempts: 1, onError: 'park', from: BEGIN } as const;
    const consumer = topic.process(options, never);
    while (!over()) await sleep(ports.clock, 1_000);
    await consumer.caughtUp();
    await consumer.close();
  },
  machine: async ({ topic: { id }, varlog, ports }) => {
    const log = varlog.topic(id + 1);
    await using replica = await startReplica({ machine: new Memory(), log, ports });
    await replica.execute('command', FOREVER);
    must((await replica.query((it) => it.seen.length, FOREVER)) === 1, 'it took effect once');
  },
  trimmer: ({ topic }) => topic.trim(BEGIN - 1, { ...FOREVER, force: true }),
  opener: ({ varlog }) => varlog.ready({ storageNodes: NODES.length, ...FOREVER }),
};

function isUnknown(error: unknown): void {
  if (!VarlogError.is(error) || error.outcome !== 'unknown') throw error;
}

function isRetryable(error: unknown): void {
  if (!VarlogError.is(error) || !error.retryable) throw error;
}

function mend(world: World): void {
  world.heal();
  for (const name of NODES) {
    world.resume(name);
    // What a failed disk has ended is started again by its supervisor.
    if (world.disk(name).faults.fail !== undefined) world.crash(name);
    world.disk(name).faults = {};
    world.restart(name);
  }
}

/** What is broken, and stays so: each in its turn. */
const BROKEN: Record<string, (world: World) => Promise<void> | void> = {
  nothing: () => {},
  'a node is down': (world) => world.crash('n2'),
  'a node lost its power': (world) => world.crash('n1', { powerLoss: true }),
  'two nodes are down': (world) => {
    world.crash('n1');
    world.crash('n3');
  },
  'all nodes are down': (world) => {
    for (const name of NODES) world.crash(name, { powerLoss: name === 'n2' });
  },
  'a node hears nobody': (world) => {
    world.partition([['n2', 'n3'], ['n1']], { oneWay: true });
  },
  'a node is heard by nobody': (world) => {
    world.partition([['n1'], ['n2', 'n3']], { oneWay: true });
  },
  'a node hangs': (world) => world.pause('n1'),
  'two nodes hang': (world) => {
    world.pause('n1');
    world.pause('n2');
  },
  'clients are not answered': (world) => {
    world.partition([NODES, Object.keys(WAITING)], { oneWay: true });
  },
  'a disk fails': (world) => failing(world, ['n1'], 'EIO', () => true),
  'the disks fail': (world) => failing(world, NODES, 'EIO', (path) => path.startsWith(REPLICAS)),
  'the disks of two members fail': (world) =>
    failing(world, ['n1', 'n2'], 'EIO', (path) => path.startsWith('metadata')),
  'a disk is full': (world) => failing(world, ['n1'], 'ENOSPC', () => true),
  'the disks are full': (world) => failing(world, NODES, 'ENOSPC', () => true),
  'no more files': (world) => {
    for (const name of NODES)
      world.disk(name).faults = { fail: ({ kind }) => (kind === 'open' ? 'EMFILE' : undefined) };
  },
  'a record is damaged': (world) => damaged(world, ['n1']),
  'a record is damaged everywhere': (world) => damaged(world, NODES),
  'a replica is gone at two nodes': (world) => gone(world, ['n1', 'n2']),
  'replicas are gone everywhere': (world) => gone(world, NODES),
};

function failing(
  world: World,
  names: readonly string[],
  errno: 'EIO' | 'ENOSPC',
  concerned: (path: string) => boolean,
): void {
  for (const name of names) {
    world.disk(name).faults = {
      fail: ({ kind, path }) =>
        (kind === 'write' || (kind === 'sync' && errno === 'EIO')) && concerned(path)
          ? errno
          : undefined,
    };
  }
}

async function damaged(world: World, names: readonly string[]): Promise<void> {
  for (const name of names) {
    world.crash(name);
    const disk: SimulatedDisk = world.disk(name);
    for (const { path } of disk.files().filter((it) => /\/records\/.*\.segment$/.test(it.path))) {
      disk.damage(path, (bytes) => {
        if (bytes.length > 4_200) bytes[4_196]! ^= 4;
      });
    }
    world.restart(name);
  }
  await world.run(1_000);
}

async function gone(world: World, names: readonly string[]): Promise<void> {
  for (const name of names) {
    world.crash(name);
    const disk = world.disk(name);
    const [logStream] = await world.play(() => disk.list('storage/replicas'), 60_000);
    await world.play(() => disk.remove(`storage/replicas/${logStream}`), 60_000);
    await world.play(() => disk.syncDirectory('storage/replicas'), 60_000);
    world.restart(name);
  }
}

/** No mending brings back what is on too few disks. */
const LOST_FOR_GOOD: ReadonlySet<string> = new Set([
  'a record is damaged everywhere',
  'a replica is gone at two nodes',
  'replicas are gone everywhere',
]);

/** So many things can be broken: each comes up in so many seeds in a row. */
export const BROKEN_WAYS = Object.keys(BROKEN).length;
