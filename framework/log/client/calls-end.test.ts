import type { World } from '../../testing/index.ts';
import {
  type CallLimits,
  type ClusterMembers,
  type Consumer,
  type Subscription,
  type Topic,
  type TopicConsumers,
  type TopicProducer,
  Varlog,
} from './index.ts';
import { ADDRESS, connectWithTopic, oneNodeWorld, slowDown } from './one-node.fixture.ts';

/** Each way: a call takes twice as long. */
const LATENCY_MS = 200;
const TIMEOUT_MS = 1_500;
/** The longest that a call takes by itself which is given no time. */
const AT_LAST_MS = 130_000;
const TEST_TIMEOUT_MS = 120_000;

let world: World;
let varlog: Varlog;
let topic: Topic;
let producer: TopicProducer;
let consumer: Consumer;
let exported: Uint8Array[];

afterEach(() => world.close());

/** A cluster with a topic, in which everything takes long. */
async function begin(): Promise<void> {
  world = oneNodeWorld();
  await world.play(async () => {
    ({ varlog, topic } = await connectWithTopic(world));
    exported = [];
    for await (const bytes of topic.export()) exported.push(bytes);
    producer = await topic.producer({ id: 1 });
    consumer = topic.process({ name: 'running' }, () => {});
    consumer.done.catch(() => {});
    await consumer.caughtUp();
  });
  slowDown(world, LATENCY_MS);
}

type Call = (limits: CallLimits) => Promise<unknown>;
/** Names of the methods of `T` that wait for something; the compiler sees that none of them is missing below. */
type Waiting<T> = Exclude<
  {
    [Name in keyof T]: T[Name] extends (...given: never[]) => Promise<unknown> ? Name : never;
  }[keyof T],
  'close' | typeof Symbol.asyncDispose
>;

async function* whole(): AsyncGenerator<Uint8Array> {
  yield* exported;
}

async function* stalled(): AsyncGenerator<Uint8Array> {
  yield exported[0]!;
  await new Promise(() => {});
}

const OF_CLIENT: Record<Waiting<Varlog>, Call> & Record<string, Call> = {
  connect: (it) => Varlog.connect({ ...it, endpoints: ADDRESS, ports: world.ports('client') }),
  topics: (it) => varlog.topics(it),
  createTopic: (it) => varlog.createTopic({ ...it, logStreams: 2, retention: { bytes: 1 } }),
  importTopic: (it) => varlog.importTopic(whole, it),
  'importTopic of what does not come': (it) => varlog.importTopic(stalled, it),
  deleteTopic: (it) => varlog.deleteTopic(topic.id + 1, it),
  restoreTopic: (it) => varlog.restoreTopic(topic.id + 1, it),
  replaceStorageNode: (it) => varlog.replaceStorageNode(1, it),
  drainStorageNode: (it) => varlog.drainStorageNode(1, it),
  undrainStorageNode: (it) => varlog.undrainStorageNode(1, it),
  removeStorageNode: (it) => varlog.removeStorageNode(1, it),
  preferPrimary: (it) => varlog.preferPrimary(1, 1, it),
  status: (it) => varlog.status(it),
  ready: (it) => varlog.ready({ ...it, storageNodes: 2 }),
};

const OF_MEMBERS: Record<Waiting<ClusterMembers>, Call> = {
  list: (it) => varlog.members.list(it),
  add: (it) => varlog.members.add({ id: 2, address: 'n2:9092' }, it),
  replace: (it) => varlog.members.replace(1, { id: 2, address: 'n2:9092' }, it),
  remove: (it) => varlog.members.remove(2, it),
  move: (it) => varlog.members.move({ id: 2, address: 'n2:9092' }, it),
};

const OF_TOPIC: Record<Waiting<Topic>, Call> & Record<string, Call> = {
  append: (it) => topic.append('x', it),
  'append with a condition': (it) => topic.append('x', { ...it, expect: { fence: 1 } }),
  'append where there is none': (it) => varlog.topic(99).append('x', { ...it, logStream: 99 }),
  fence: (it) => topic.fence(it),
  appendAtomically: (it) => {
    const parts = [1, 2].map((logStream) => ({ logStream, records: 'x' }));
    return topic.appendAtomically(parts, it);
  },
  producer: (it) => topic.producer({ ...it, id: 2 }),
  watermarks: (it) => topic.watermarks(it),
  trim: (it) => topic.trim(1, it),
  hold: (it) => topic.hold('somebody', 1, it),
  release: (it) => topic.release('somebody', it),
  describe: (it) => topic.describe(it),
  setRetention: (it) => topic.setRetention({ bytes: 1_000_000 }, it),
  usage: (it) => topic.usage(it),
  addLogStream: (it) => topic.addLogStream(it),
  setReplicationFactor: (it) => topic.setReplicationFactor(1, it),
};

const OF_CONSUMERS: Record<Waiting<TopicConsumers>, Call> & Record<string, Call> = {
  add: (it) => topic.consumers.add('c', it),
  'add since a time': (it) => topic.consumers.add('d', { ...it, from: { time: 0 } }),
  list: (it) => topic.consumers.list(it),
  replay: (it) => topic.consumers.replay('c', [1], it),
  drop: (it) => topic.consumers.drop('c', [1], it),
  remove: (it) => topic.consumers.remove('c', it),
};

const OF_PRODUCER: Record<Waiting<TopicProducer>, Call> = {
  append: (it) => producer.append('x', it),
};

const OF_CONSUMER: Record<Waiting<Consumer>, Call> = {
  caughtUp: (it) => consumer.caughtUp(it),
};

/** What takes no limits is left out: it waits for what its user does. */
type OfSubscription = Exclude<Waiting<Subscription>, 'ready' | 'reached' | 'take' | 'takeEntries'>;
const OF_SUBSCRIPTION: Record<OfSubscription, Call> = {
  caughtUp: (it) => topic.tail().caughtUp(it),
};

const CALLS: [string, Call][] = Object.entries({
  varlog: OF_CLIENT,
  members: OF_MEMBERS,
  topic: OF_TOPIC,
  consumers: OF_CONSUMERS,
  producer: OF_PRODUCER,
  consumer: OF_CONSUMER,
  subscription: OF_SUBSCRIPTION,
}).flatMap(([of, calls]) =>
  Object.entries(calls).map(([name, call]): [string, Call] => [`${of}: ${name}`, call]),
);

interface Fate {
  readonly ms: number;
  readonly error: unknown;
}

/** Makes all calls at once, after which nobody is heard of any more, and says what became of each. */
async function fatesOf(
  calls: readonly [string, Call][],
  limits: () => CallLimits,
  cutMs: number,
): Promise<Map<string, Fate>> {
  const fates = new Map<string, Fate>();
  const beganMs = world.nowMs;
  const ended = (name: string, error?: unknown): void => {
    fates.set(name, { ms: world.nowMs - beganMs, error });
  };
  world.after(cutMs, () => world.partition([['n1'], ['client']]));
  world.after(0, () => {
    for (const [name, call] of calls) {
      call(limits()).then(
        () => ended(name),
        (error: unknown) => ended(name, error),
      );
    }
  });
  await world.run(AT_LAST_MS);
  return fates;
}

/** The calls that had no end by then. */
function late(fates: Map<string, Fate>, calls: readonly [string, Call][], ms: number): string[] {
  return calls
    .filter(([name]) => (fates.get(name)?.ms ?? Infinity) > ms)
    .map(([name]) => `${name}: ${fates.get(name)?.ms ?? 'never'}`);
}

// From before the first step of a call to behind the last one of most.
const CUTS = [0, 100, 300, 500, 900, 1_300, 2_500];

test.each(CUTS)(
  'every call is over when its time is, also when the cluster falls silent after %i ms',
  async (cutMs) => {
    await begin();
    const fates = await fatesOf(CALLS, () => ({ timeoutMs: TIMEOUT_MS }), cutMs);
    expect(late(fates, CALLS, TIMEOUT_MS + 1)).toEqual([]);
    const bad = [...fates].filter(([, { error }]) => /INVALID_ARGUMENT|CLOSED/.test(String(error)));
    expect(bad).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);

test.each(CUTS)(
  'every call ends with its signal, also when the cluster falls silent after %i ms',
  async (cutMs) => {
    await begin();
    const abortMs = 700;
    const cancel = new AbortController();
    const reason = new Error('not wanted any more');
    world.after(abortMs, () => cancel.abort(reason));
    const fates = await fatesOf(CALLS, () => ({ signal: cancel.signal }), cutMs);
    expect(late(fates, CALLS, abortMs + 1)).toEqual([]);
    const others = [...fates].filter(
      // What was carried out by then may say so.
      ([, { ms, error }]) => ms >= abortMs && error !== reason && error !== undefined,
    );
    expect(others).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);

test.each(CUTS)(
  'every call that is given no time has an end, when the cluster falls silent after %i ms',
  async (cutMs) => {
    await begin();
    // These wait for as long as it takes: for a consumer, or for whoever is asked for bytes.
    const endless = ['importTopic of what does not come', 'caughtUp'];
    const calls = CALLS.filter(([name]) => !endless.some((it) => name.endsWith(it)));
    const fates = await fatesOf(calls, () => ({}), cutMs);
    expect(late(fates, calls, AT_LAST_MS)).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);
