import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { Varlog } from '../../framework/log/client/index.ts';
import type { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';
import { type NodeRoles, startRoles } from '../../framework/log/roles/index.ts';
import { Fetcher } from '../../framework/log/storage-node/fetcher.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { withFaults } from './faults.ts';
import { leaderAmong } from './leader-among.ts';
import { must } from './memory.ts';
import { replace } from './planted-defect.ts';
import { connect, endpoints } from './three-nodes.ts';
import { watchMoves } from './watch-moves.ts';
import { drawWriteAhead } from './write-ahead.ts';

/** These are members of the metadata repository as well. */
const MEMBERS = ['n1', 'n2', 'n3'];
const FIRST = [...MEMBERS, 'n4', 'n5'];
/** Joins while the cluster runs. */
const LATE = 'n6';
const CLIENTS = 3;
const LOG_STREAMS = 4;
const FACTOR = 3;
/** What is left of the topic that is idle. */
const IDLE = ['left', 'left too'];
const CALL_TIMEOUT_MS = 5_000;
const SETTLED_WITHIN_MS = 240_000;
/** What moves once all is settled would move for ever. */
const STILL_MS = 60_000;

/** What must have come up in some run. */
export type DrainSight = 'drain cancelled' | 'moved for evenness' | 'newcomer given up' | 'removed';

/**
 * Six storage nodes, of which some are drained, drained no longer, or come, beside appends, crashes, power losses, partitions
 * and pauses. All the time: a replica goes only after it was told to leave and when all that stay have what the epoch began
 * with, on their disks; a log stream never has fewer replicas than it is to have. In the end: drained nodes are empty and can
 * be removed, all others have about as many replicas, whatever an operator preferred is so, nothing moves any more, and the log is
 * as it was acknowledged.
 */
export async function drainScenario(
  seed: number,
  sights: Set<DrainSight> = new Set(),
): Promise<RunReport> {
  const world = new World(seed);
  const run = new DrainRun(world, sights);
  const unwatch = run.watch();
  const hasten = slowCopies();
  try {
    await run.play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    hasten();
    unwatch();
    world.close();
  }
}

class DrainRun {
  private readonly world: World;
  private readonly sights: Set<DrainSight>;
  private readonly names = [...FIRST];
  private readonly history: History = { attempts: [], commands: [] };
  private topicId = 0;
  /** Its head was trimmed, within its last batch, and nobody appends to it any more: what is copied of it must come all the same. */
  private idleTopicId = 0;

  constructor(world: World, sights: Set<DrainSight>) {
    this.world = world;
    this.sights = sights;
  }

  async play(): Promise<void> {
    const { world, names } = this;
    for (const name of FIRST) this.add(name);
    this.topicId = await world.play(() => this.makeTopic(world.ports('operator')), 60_000);
    let over = false;
    const clients = startAppenders(world, CLIENTS, this.topicId, this.history, () => over);
    const operator = this.operate(world.ports('operator'), () => over);
    await withFaults(world, names);
    await world.run(5_000 + world.random.stream('calm').below(10_000));
    await withFaults(world, names);
    over = true;
    await world.play(() => Promise.all([...clients, operator]), 120_000);
    const drained = await world.play(() => this.decide(world.ports('operator')), 120_000);
    await this.settled(drained);
    // Beside what an operator prefers, others may still be moved for evenness.
    await world.run(STILL_MS);
    const before = this.shape();
    await world.run(STILL_MS);
    must(this.shape() === before, `it does not come to rest: ${before} became ${this.shape()}`);
    await world.play(() => this.remove(world.ports('operator'), drained), 60_000);
    const auditor = world.ports('auditor');
    await world.play(() => checkLog(auditor, this.topicId, this.history), 120_000);
    await world.play(() => this.checkIdle(auditor), 60_000);
  }

  /** Looks at every step that any member takes. */
  watch(): () => void {
    return watchMoves({
      world: this.world,
      factor: FACTOR,
      rolesOf: (name) => this.rolesOf(name),
      saw: ({ told, gone, wasJoining }, metadata) => {
        if (told.some((it) => metadata.storageNodes.get(it)?.draining === false))
          this.sights.add('moved for evenness');
        if (gone.some((it) => wasJoining.includes(it))) this.sights.add('newcomer given up');
      },
    });
  }

  private async makeTopic(ports: Ports): Promise<number> {
    const varlog = await connect(ports);
    await varlog.ready({ storageNodes: FIRST.length, timeoutMs: 30_000 });
    const { id } = await varlog.createTopic({ logStreams: LOG_STREAMS });
    const idle = await varlog.createTopic();
    for (const texts of [['trimmed'], ['trimmed too', ...IDLE]]) {
      await idle.append(texts, { timeoutMs: 30_000 });
    }
    await idle.trim(2, { timeoutMs: 30_000 });
    this.idleTopicId = idle.id;
    await varlog.close();
    return id;
  }

  private async checkIdle(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const texts: string[] = [];
    for await (const entry of varlog.topic(this.idleTopicId).read()) texts.push(entry.text());
    must(String(texts) === String(IDLE), `what nobody appends to has ${texts}`);
    await varlog.close();
  }

  private async operate(ports: Ports, over: () => boolean): Promise<void> {
    const { random, clock } = ports;
    while (!over()) {
      await sleep(clock, 300 + random.below(2_500));
      const node = 1 + random.below(this.names.length);
      const kind = random.below(10);
      if (kind < 1 && !this.names.includes(LATE)) {
        this.add(LATE);
        this.names.push(LATE);
      } else if (kind < 5) {
        await this.attempt(ports, (it) => it.drainStorageNode(node, limits));
      } else if (kind < 8) {
        const wasDrained = await this.attempt(ports, (it) => it.undrainStorageNode(node, limits));
        if (wasDrained) this.sights.add('drain cancelled');
      } else {
        await this.prefer(ports, 1 + random.below(LOG_STREAMS));
      }
    }
  }

  /** An operator prefers some replica of a log stream. Whether that could be said. */
  private async prefer(ports: Ports, id: number): Promise<boolean> {
    const { replicas = [], leaving = [] } = this.leader()?.metadata.logStreams.get(id) ?? {};
    const known = replicas.filter((it) => !leaving.includes(it) && !this.isDrained(it));
    const node = known[ports.random.below(known.length)];
    if (node === undefined) return false;
    return this.attempt(ports, (it) => it.preferPrimary(id, node, limits));
  }

  /** What is to be so in the end: three nodes at least are left. */
  private async decide(ports: Ports): Promise<number[]> {
    const nodes = this.names.map((_, i) => i + 1);
    const drained = nodes.filter(() => ports.random.below(3) === 0).slice(0, nodes.length - FACTOR);
    for (const node of nodes) {
      const isDrained = drained.includes(node);
      await this.untilDone(ports, (it) =>
        isDrained ? it.drainStorageNode(node, limits) : it.undrainStorageNode(node, limits),
      );
    }
    return drained;
  }

  private async remove(ports: Ports, drained: readonly number[]): Promise<void> {
    for (const node of drained) {
      await this.untilDone(ports, (it) => it.removeStorageNode(node, limits));
      this.sights.add('removed');
    }
  }

  private async settled(drained: readonly number[]): Promise<void> {
    const { world } = this;
    await world
      .until(() => this.problem(drained) === undefined, SETTLED_WITHIN_MS)
      .catch((cause) => {
        throw new Error(`not settled: ${this.problem(drained)}: ${this.shape()}`, { cause });
      });
    // With all where it is to be, an operator says which primary is to be preferred, against all evenness.
    const ports = world.ports('operator');
    const preferred = this.leader()!.metadata.logStreams.get(1)!.replicas.at(-1)!;
    const say = (): Promise<void> =>
      this.untilDone(ports, (it) => it.preferPrimary(1, preferred, limits));
    await world.play(say, 60_000);
    await world.run(10_000);
    const [first] = this.leader()!.metadata.logStreams.get(1)!.replicas;
    must(first === preferred, `${preferred} was preferred, and ${first} is`);
    await world.until(() => this.problem(drained) === undefined, SETTLED_WITHIN_MS);
  }

  /** What is not as it is to be. */
  private problem(drained: readonly number[]): string | undefined {
    const metadata = this.leader()?.metadata;
    if (metadata === undefined) return 'there is no leader';
    const load = new Map(
      this.names
        .map((_, i) => i + 1)
        .filter((it) => !drained.includes(it))
        .map((it) => [it, 0]),
    );
    for (const stream of metadata.logStreams.values()) {
      const { id, replicas, members, joining, leaving, sealed, replicationFactor } = stream;
      if (sealed) return `log stream ${id} is sealed`;
      if (joining.length + leaving.length > 0) return `log stream ${id} is moved`;
      if (replicas.length !== replicationFactor) return `log stream ${id} is on ${replicas}`;
      if (members.length !== replicas.length) return `log stream ${id} is not whole: ${members}`;
      const stays = replicas.find((it) => drained.includes(it));
      if (stays !== undefined) return `log stream ${id} is on storage node ${stays}`;
      if (stream.preferred === 0 && members[0] !== replicas[0])
        return `the primary of log stream ${id} is ${members[0]}, not ${replicas[0]}`;
      for (const it of replicas) load.set(it, load.get(it)! + 1);
    }
    const counts = [...load.values()];
    const isEven = Math.max(...counts) - Math.min(...counts) < 2;
    // What an operator prefers somewhere stays there.
    const isFree = [...metadata.logStreams.values()].every((it) => it.preferred === 0);
    return isEven || !isFree ? undefined : `the nodes have ${JSON.stringify([...load])}`;
  }

  /** All placements, with how often each was changed. */
  private shape(): string {
    const streams = [...(this.leader()?.metadata.logStreams.values() ?? [])];
    return streams
      .map((it) => `${it.id} on ${it.members}/${it.replicas} since ${it.revision}`)
      .join('; ');
  }

  private async untilDone(ports: Ports, work: (varlog: Varlog) => Promise<void>): Promise<void> {
    while (!(await this.attempt(ports, work))) await sleep(ports.clock, 500);
  }

  private async attempt(ports: Ports, work: (varlog: Varlog) => Promise<void>): Promise<boolean> {
    let varlog: Varlog | undefined;
    try {
      varlog = await connect(ports);
      await work(varlog);
      return true;
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      this.world.note(`operator is refused: ${error.message}`);
      return false;
    } finally {
      await varlog?.close();
    }
  }

  private isDrained(node: number): boolean {
    return this.leader()?.metadata.storageNodes.get(node)?.draining === true;
  }

  private leader(): MetadataRepository | undefined {
    return leaderAmong(MEMBERS.map((it) => this.rolesOf(it)?.repository));
  }

  private rolesOf(name: string): NodeRoles | undefined {
    return this.world.process(name) as NodeRoles | undefined;
  }

  private add(name: string): void {
    this.world.node(name, (ports) =>
      startRoles({
        ports,
        clusterId: 1,
        nodeId: Number(name.slice(1)),
        address: `${name}:9092`,
        members: endpoints.map((address, i) => ({ id: i + 1, address })),
        metadata: MEMBERS.includes(name)
          ? { directory: 'metadata', replicationFactor: FACTOR, joinsAtOnce: 1 }
          : undefined,
        storage: { directory: 'storage', writeAhead: drawWriteAhead(ports.random) },
      }),
    );
  }
}

/** What is behind begins to copy late, so that it is behind for a while, as it would be with many records. */
function slowCopies(): () => void {
  interface Fetching {
    uncommitted: boolean;
    throttled: boolean;
    host: { ports: Ports };
    stopped: AbortController;
    fetchFrom(source: string): Promise<void>;
  }
  const prototype = Fetcher.prototype as unknown as Fetching;
  const { fetchFrom } = prototype;
  return replace(prototype, 'fetchFrom', async function (this: Fetching, source) {
    const { clock, random } = this.host.ports;
    if (!this.uncommitted) {
      const ms = random.below(this.throttled ? 2_000 : 200);
      await sleep(clock, ms, this.stopped.signal).catch(() => {});
    }
    await fetchFrom.call(this, source);
  });
}

const limits = { timeoutMs: CALL_TIMEOUT_MS };
