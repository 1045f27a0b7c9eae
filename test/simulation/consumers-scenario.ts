import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import {
  type CallLimits,
  type Consumer,
  record,
  type Topic,
  type Varlog,
} from '../../framework/log/client/index.ts';
import { FileCheckpointStore } from '../../framework/log/consumer/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';
import { operate } from './operator.ts';
import { SimulatedDatabase } from './simulated-database.ts';
import { connect, endpoints, makeTopic, NODES, startNode } from './three-nodes.ts';

const KEYS = ['a', 'b', 'c', 'd'];
/** Where the checkpoint is kept: a consumer each. */
const KINDS = ['cluster', 'file', 'database'] as const;
type Kind = (typeof KINDS)[number];
/** The processes of each: one has two, at times at once. A file is that of one machine. */
const HOSTS = KINDS.flatMap((kind) =>
  ['host', ...(kind === 'file' ? [] : ['rival'])].map((it) => ({ name: `${it}-${kind}`, kind })),
);

/** In half of the runs the consumer in the cluster is added, and runs for the first time so much later. */
const LATE_MS = 3_000;

/** One record as a handler was given it. */
interface Given {
  readonly glsn: number;
  readonly key: string;
  readonly epoch: number;
  readonly isReplay: boolean;
  ended: 'done' | 'failed' | undefined;
}

/**
 * The whole cluster through a few seconds of faults from a seed, with consumers that are killed and started again, some
 * while another one of their name runs, on checkpoints in the cluster, in files and in a database. Handlers take their
 * time, and fail at some records for good, which are parked and replayed. At times the one in the cluster is added, and runs
 * only later; one that is there is added in vain, over and over. In the end each record was done at least once,
 * in order by key, and took effect once in the database; and no checkpoint was ever beyond a record that was not done or
 * parked.
 */
export async function consumersScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new ConsumersRun(world, seed).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class ConsumersRun {
  private readonly world: World;
  private readonly seed: number;
  private readonly given = new Map<Kind, Given[]>(KINDS.map((it) => [it, []]));
  private readonly database: SimulatedDatabase;
  /** Records at which handlers fail until all is over. */
  private isBroken = true;
  private topicId = 0;
  /** The newest life of each that was started. */
  private readonly newest = new Map<Kind, Consumer>();
  /** When the consumer in the cluster may run for the first time, in simulated milliseconds. */
  private firstRunAt = 0;
  private over = false;

  constructor(world: World, seed: number) {
    this.world = world;
    this.seed = seed;
    this.database = new SimulatedDatabase(world.ports('database'));
  }

  private get isOperated(): boolean {
    return this.seed % 3 === 0;
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => startNode(ports, name));
    this.topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    if (this.seed % 2 === 0) {
      await world.play(() => this.addFirst(world.ports('adder')), 60_000);
      this.firstRunAt = world.nowMs + LATE_MS;
    }
    for (const { name, kind } of HOSTS) world.node(name, (ports) => this.host(ports, kind));
    const appended = this.append(world.ports('appender'));
    const others = [this.watch(world.ports('watcher'))];
    if (this.isOperated) {
      const operated = { endpoints, topicId: this.topicId, over: () => this.over };
      others.push(operate(world.ports('operator'), operated));
    }
    const killed = this.kill();
    await withFaults(world, NODES);
    this.over = true;
    killed.stop();
    await world.play(() => Promise.all([appended, ...others]), 200_000);
    for (const { name } of HOSTS) {
      if (name.startsWith('rival')) world.crash(name);
      else world.restart(name);
    }
    await world.play(() => this.end(world.ports('auditor')), 60_000);
    this.check();
  }

  /** The consumer that keeps its position in the cluster is registered before it runs: what it will need is not trimmed. */
  private async addFirst(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    for (;;) {
      try {
        await varlog.topic(this.topicId).consumers.add('cluster', { from: 'start' });
        break;
      } catch (error) {
        // Its answer was lost; or the nodes have not agreed on the feature level yet.
        if (VarlogError.is(error, 'ALREADY_EXISTS')) break;
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
        await sleep(ports.clock, 200);
      }
    }
    await varlog.close();
  }

  /** A process that runs a consumer, and starts it again when it stops. */
  private async host(ports: Ports, kind: Kind): Promise<{ close(): Promise<void> }> {
    const varlog = await connect(ports);
    void this.keepRunning(ports, kind, varlog).catch((error: unknown) => this.world.fail(error));
    return { close: () => varlog.close() };
  }

  private async keepRunning(ports: Ports, kind: Kind, varlog: Varlog): Promise<void> {
    while (kind === 'cluster' && this.world.nowMs < this.firstRunAt) await sleep(ports.clock, 50);
    for (;;) {
      const consumer = this.start(ports, kind, varlog);
      this.newest.set(kind, consumer);
      await consumer.done.catch((error: unknown) => {
        const { code } = error as VarlogError;
        const mayStop = VarlogError.is(error) && (code === 'CONSUMER_FENCED' || code === 'CLOSED');
        must(mayStop, `a consumer stopped: ${String(error)}`);
      });
      await sleep(ports.clock, 200 + ports.random.below(2_000));
    }
  }

  private start(ports: Ports, kind: Kind, varlog: Varlog): Consumer {
    const topic = varlog.topic(this.topicId);
    const common = {
      name: kind,
      concurrency: 3,
      orderBy: 'key',
      attempts: 2,
      onError: 'park',
      maxInFlight: 20,
      checkpointEveryMs: 200,
    } as const;
    if (kind === 'database') {
      const options = { ...common, checkpoint: this.database };
      const consumer: Consumer = topic.process(options, (entry, { transaction, isReplay }) =>
        this.handle(ports, consumer, entry, isReplay, async () => {
          await sleep(ports.clock, ports.random.below(5));
          transaction.push(entry.glsn);
        }),
      );
      return consumer;
    }
    const checkpoint = new FileCheckpointStore(ports.disk);
    const options = kind === 'file' ? { ...common, checkpoint } : common;
    const consumer: Consumer = topic.process(options, (entry, { isReplay }) =>
      this.handle(ports, consumer, entry, isReplay, async () => {}),
    );
    return consumer;
  }

  private async handle(
    ports: Ports,
    consumer: Consumer,
    entry: { readonly glsn: number; readonly key: string | undefined },
    isReplay: boolean,
    effect: () => Promise<void>,
  ): Promise<void> {
    const { glsn } = entry;
    const key = entry.key ?? '';
    const { epoch } = consumer.status;
    const given: Given = { glsn, key, epoch, isReplay, ended: undefined };
    const all = this.given.get(consumer.name as Kind)!;
    const busy = all.findLast(
      (it) => it.epoch === epoch && it.key === key && it.ended === undefined,
    );
    must(busy === undefined, `record ${glsn} of key ${key} came while ${busy?.glsn} was in work`);
    all.push(given);
    await sleep(ports.clock, ports.random.below(40));
    await effect();
    given.ended = this.isBroken && glsn % 13 === 0 ? 'failed' : 'done';
    if (given.ended === 'failed') throw new Error(`record ${glsn} cannot be done`);
  }

  private async append(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const producer = await varlog.topic(this.topicId).producer({ id: 1 });
    for (let i = 0; !this.over; i++) {
      const key = KEYS[ports.random.below(KEYS.length)]!;
      const batch = [record(`${i}`, { key }), record(`${i} bis`, { key })];
      await producer.append(batch, { timeoutMs: 60_000 });
      await sleep(ports.clock, 20 + ports.random.below(60));
    }
    await varlog.close();
  }

  /** Processes of consumers are killed, and started again; at times two run at once. */
  private kill(): { stop(): void } {
    const { world } = this;
    const random = world.random.stream('kills');
    let stopped = false;
    const next = (): void => {
      if (stopped) return;
      const { name } = HOSTS[random.below(HOSTS.length)]!;
      if (!world.isRunning(name)) world.restart(name);
      else if (random.below(4) === 0) {
        world.pause(name);
        world.after(200 + random.below(1_500), () => world.resume(name));
      } else {
        world.crash(name, { powerLoss: random.below(2) === 0 });
        world.after(random.below(1_000), () => {
          if (!stopped) world.restart(name);
        });
      }
      world.after(100 + random.below(500), next);
    };
    world.after(500, next);
    return {
      stop: () => {
        stopped = true;
      },
    };
  }

  /** What the cluster says of consumers is never more than what they have done. Now and then, what is parked is replayed. */
  private async watch(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    const { consumers } = topic;
    while (!this.over) {
      await sleep(ports.clock, 50 + ports.random.below(200));
      try {
        const known = await consumers.list({ timeoutMs: 2_000 });
        for (const { name, position, parked } of known) {
          this.checkPosition(name as Kind, position, new Set(parked.map((it) => it.glsn)));
          if (parked.length > 0 && ports.random.below(10) === 0)
            await consumers.replay(name, 'all', { timeoutMs: 2_000 });
        }
        const { name } = known[ports.random.below(known.length)] ?? {};
        if (name !== undefined) await addInVain(topic, name, { timeoutMs: 2_000 });
        const needed = known.flatMap(({ position, parked }) => [
          position,
          ...parked.map(({ glsn }) => glsn - 1),
        ]);
        // Often more than may be.
        const upTo = Math.min(...needed) + ports.random.below(2) * ports.random.below(30);
        if (known.length === KINDS.length && upTo > 0) await topic.trim(upTo, { timeoutMs: 2_000 });
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      }
    }
    await varlog.close();
  }

  private checkPosition(kind: Kind, position: number, parked: ReadonlySet<number>): void {
    const done = this.doneBy(kind);
    for (let glsn = 1; glsn <= position; glsn++) {
      const isFine = done.has(glsn) || parked.has(glsn);
      must(isFine, `${kind} is at ${position}, and record ${glsn} is neither done nor parked`);
    }
  }

  private doneBy(kind: Kind): ReadonlySet<number> {
    if (kind === 'database') return new Set(this.database.effects);
    const given = this.given.get(kind)!.filter((it) => it.ended === 'done');
    return new Set(given.map((it) => it.glsn));
  }

  /** Now all records can be done: what is parked is replayed until nothing is. */
  private async end(ports: Ports): Promise<void> {
    this.isBroken = false;
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    const { last } = await topic.watermarks();
    for (;;) {
      const known = await topic.consumers.list();
      const isOver = known.length === KINDS.length && known.every((it) => it.position >= last);
      const lost = known.flatMap((it) => it.parked).find(({ cause }) => cause.includes('TRIMMED'));
      must(lost === undefined, `record ${lost?.glsn} is parked, and was trimmed`);
      const waiting = known.filter((it) => it.parked.some(({ replay }) => !replay));
      if (isOver && known.every((it) => it.parked.length === 0)) break;
      for (const { name } of waiting) await topic.consumers.replay(name).catch(refusalIsFine);
      await sleep(ports.clock, 300);
    }
    for (const { name } of await topic.consumers.list())
      this.checkPosition(name as Kind, last, new Set());
    await this.addRunning(ports, topic);
    await varlog.close();
  }

  /** To add one that runs is in vain, and does not disturb it. Nobody is killed any more. */
  private async addRunning(ports: Ports, topic: Topic): Promise<void> {
    const isRunning = (kind: Kind): boolean => this.newest.get(kind)?.status.state === 'running';
    while (!KINDS.every(isRunning)) await sleep(ports.clock, 100);
    const before = new Map(this.newest);
    for (const kind of KINDS) await addInVain(topic, kind).catch(refusalIsFine);
    // They hear of it when they say the next time how far they are.
    await sleep(ports.clock, 2_000);
    for (const kind of KINDS) {
      const isSame = this.newest.get(kind) === before.get(kind) && isRunning(kind);
      must(isSame, `${kind} ended when it was added once more`);
    }
  }

  private check(): void {
    // An operator may leave the topic sealed until all is over.
    const least = this.isOperated ? 1 : 50;
    for (const kind of KINDS) {
      const given = this.given.get(kind)!;
      must(given.length > least, `${kind} was given ${given.length} records (seed ${this.seed})`);
      this.checkOrder(kind, given);
    }
    const { effects } = this.database;
    const each = new Set(effects);
    must(each.size === effects.length, 'a record took effect twice in the database');
  }

  /** Within a life, records of a key come in order, but for those that are replayed. */
  private checkOrder(kind: Kind, given: readonly Given[]): void {
    const newest = new Map<string, number>();
    for (const { glsn, key, epoch, isReplay } of given) {
      if (isReplay) continue;
      const of = `${epoch} ${key}`;
      const before = newest.get(of) ?? 0;
      must(glsn >= before, `${kind}: record ${glsn} of key ${key} comes after ${before}`);
      newest.set(of, glsn);
    }
  }
}

/** Adds a consumer that is there: that has to be refused. */
async function addInVain(topic: Topic, name: string, limits: CallLimits = {}): Promise<void> {
  try {
    await topic.consumers.add(name, { from: 'end', ...limits });
  } catch (error) {
    if (!VarlogError.is(error, 'ALREADY_EXISTS')) throw error;
    return;
  }
  must(false, `${name} was added, and was there already`);
}

function refusalIsFine(error: unknown): void {
  if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
}
