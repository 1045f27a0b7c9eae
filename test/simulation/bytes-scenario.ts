import type { Ports } from '../../framework/base/index.ts';
import { ByteBalance } from '../../framework/log/core/byte-balance.ts';
import type { LogStreamState } from '../../framework/log/core/index.ts';
import { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';
import { notLeader } from '../../framework/log/metadata-repository/repository-errors.ts';
import { type NodeRoles, startRoles } from '../../framework/log/roles/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, type Shape, startAppenders } from './append-history.ts';
import { withFaults } from './faults.ts';
import { leaderAmong } from './leader-among.ts';
import { must } from './memory.ts';
import { replace } from './planted-defect.ts';
import { connect, endpoints } from './three-nodes.ts';
import { watchMoves } from './watch-moves.ts';
import { drawWriteAhead } from './write-ahead.ts';

/** These are members of the metadata repository as well. */
const MEMBERS = ['n1', 'n2', 'n3'];
const FIRST = [...MEMBERS, 'n4'];
/** Joins while the cluster runs, in some runs. */
const LATE = 'n5';
const CLIENTS = 3;
/** So many that some nodes have one more than others. */
const LOG_STREAMS = 7;
const FACTOR = 2;
const SETTLED_WITHIN_MS = 240_000;
/** What moves once all is settled would move for ever. */
const STILL_MS = 60_000;

/** What must have come up in some run. */
export type BytesSight = 'changed places' | 'given for nothing' | 'other half by state alone';

/**
 * Storage nodes with log streams of which some are written much more to than others, through crashes, power losses,
 * partitions and pauses; from how many bytes on nodes are uneven is another number from each seed. All the time: no copy is
 * given up early. In the end: nodes have nearly as many log streams and about as many bytes, nothing moves any more, and the
 * log is as it was acknowledged.
 */
export async function bytesScenario(
  seed: number,
  sights: Set<BytesSight> = new Set(),
): Promise<RunReport> {
  const world = new World(seed);
  const run = new BytesRun(world, sights);
  const unwatch = run.watch();
  try {
    await run.play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    unwatch();
    world.close();
  }
}

class BytesRun {
  private readonly world: World;
  private readonly sights: Set<BytesSight>;
  private readonly rebalanceBytes: number;
  private readonly names = [...FIRST];
  private readonly history: History = { attempts: [], commands: [] };

  constructor(world: World, sights: Set<BytesSight>) {
    this.world = world;
    this.sights = sights;
    this.rebalanceBytes = 4_096 << world.random.stream('least').below(4);
  }

  async play(): Promise<void> {
    const { world, names } = this;
    const random = world.random.stream('shape');
    for (const name of FIRST) this.add(name);
    const topic = await world.play(() => this.makeTopic(world.ports('operator')), 60_000);
    const weights = topic.logStreams.map(() => (random.below(2) === 0 ? 0 : random.below(6_000)));
    const shape: Shape = (text, i) => {
      const at = i % LOG_STREAMS;
      return { text: text.padEnd(weights[at]!, '.'), logStream: topic.logStreams[at]! };
    };
    let over = false;
    const clients = startAppenders(world, CLIENTS, topic.id, this.history, () => over, shape);
    await withFaults(world, names);
    if (random.below(2) === 0) {
      this.add(LATE);
      names.push(LATE);
    }
    // In between they are calm for long enough to move something.
    await world.run(5_000 + random.below(15_000));
    await withFaults(world, names);
    over = true;
    await world.play(() => Promise.all(clients), 120_000);
    await world
      .until(() => this.problem() === undefined, SETTLED_WITHIN_MS)
      .catch((cause) => {
        throw new Error(`not settled: ${this.problem()}: ${this.shape()}`, { cause });
      });
    // Primaries may still be spread.
    await world.run(STILL_MS);
    const before = this.shape();
    await world.run(STILL_MS);
    must(this.shape() === before, `it does not come to rest: ${before} became ${this.shape()}`);
    must(this.problem() === undefined, `it did not stay so: ${this.problem()}`);
    await world.play(() => checkLog(world.ports('auditor'), topic.id, this.history), 120_000);
  }

  /**
   * Looks at every step that any member takes, and at why it does. In every other exchange, the command for the second half
   * is not proposed, as where its leader lost the lead just then.
   */
  watch(): () => void {
    const { world, sights } = this;
    const random = world.random.stream('second half');
    const { exchange, answer } = ByteBalance.prototype;
    const { execute } = MetadataRepository.prototype;
    let lost: number | undefined;
    const ends = [
      watchMoves({ world, factor: FACTOR, rolesOf: (it) => this.rolesOf(it), saw: () => {} }),
      replace(ByteBalance.prototype, 'exchange', function (this: ByteBalance, between) {
        const found = exchange.call(this, between);
        if (found === undefined) return found;
        sights.add(found.taken === undefined ? 'given for nothing' : 'changed places');
        lost = random.below(2) === 0 ? found.taken?.id : undefined;
        return found;
      }),
      replace(ByteBalance.prototype, 'answer', function (this: ByteBalance, ...of) {
        const found = answer.call(this, ...of);
        if (found !== undefined) sights.add('other half by state alone');
        return found;
      }),
      replace(MetadataRepository.prototype, 'execute', function (this: MetadataRepository, ...of) {
        const [command] = of;
        if (command.kind !== 'moveReplicas' || command.id !== lost) return execute.apply(this, of);
        lost = undefined;
        return Promise.reject(notLeader(undefined));
      }),
    ];
    return () => {
      for (const end of ends.reverse()) end();
    };
  }

  private async makeTopic(ports: Ports): Promise<{ id: number; logStreams: number[] }> {
    const varlog = await connect(ports);
    await varlog.ready({ storageNodes: FIRST.length, timeoutMs: 30_000 });
    const { id } = await varlog.createTopic({ logStreams: LOG_STREAMS });
    const { topics } = await varlog.status();
    await varlog.close();
    return { id, logStreams: topics.find((it) => it.id === id)!.logStreams.map((it) => it.id) };
  }

  /** What is not as it is to be. */
  private problem(): string | undefined {
    const streams = [...(this.leader()?.metadata.logStreams.values() ?? [])];
    if (streams.length === 0) return 'there is no leader';
    for (const { id, replicas, members, joining, leaving, sealed } of streams) {
      if (sealed) return `log stream ${id} is sealed`;
      if (joining.length + leaving.length > 0) return `log stream ${id} is moved`;
      if (replicas.length !== FACTOR) return `log stream ${id} is on ${replicas}`;
      if (members.length !== replicas.length) return `log stream ${id} is not whole: ${members}`;
    }
    const nodes = this.names.map((_, i) => i + 1);
    const on = (node: number): LogStreamState[] =>
      streams.filter((it) => it.replicas.includes(node));
    const counts = nodes.map((it) => on(it).length);
    if (Math.max(...counts) - Math.min(...counts) > 1) return `the nodes have ${counts}`;
    for (const from of nodes) {
      for (const to of nodes) {
        const uneven = this.unevenness(from, on(from), to, on(to));
        if (uneven !== undefined) return uneven;
      }
    }
    return undefined;
  }

  /** What one node is to give to another one, by the rules as the manual has them and what is on the disks. */
  private unevenness(
    from: number,
    ofFrom: readonly LogStreamState[],
    to: number,
    ofTo: readonly LogStreamState[],
  ): string | undefined {
    const sum = (streams: readonly LogStreamState[]): number =>
      streams.reduce((bytes, it) => bytes + this.sizeOf(it), 0);
    const [more, less] = [sum(ofFrom), sum(ofTo)];
    if (more - less < this.rebalanceBytes || more < 1.5 * less) return undefined;
    const onlyTo = ofTo.filter((it) => !it.replicas.includes(from));
    const isMovable = ofFrom.length > ofTo.length;
    for (const given of ofFrom.filter((it) => !it.replicas.includes(to))) {
      for (const taken of [...(isMovable ? [undefined] : []), ...onlyTo]) {
        const [a, b] = [this.sizeOf(given), taken === undefined ? 0 : this.sizeOf(taken)];
        const isWorth = a - b >= this.rebalanceBytes / 16 && a - b >= (a + b) / 8;
        if (isWorth && 2 * (a - b) <= more - less)
          return `${from} has ${more} bytes, and ${to} has ${less}: log stream ${given.id} for ${taken?.id}`;
      }
    }
    return undefined;
  }

  private sizeOf({ id, members }: LogStreamState): number {
    const sizes = members.map((it) => {
      const replica = this.rolesOf(`n${it}`)?.storageNode?.replicas.get(id);
      return replica?.storage.bytes ?? 0;
    });
    return Math.max(...sizes);
  }

  /** All placements, with how often each was changed. */
  private shape(): string {
    const streams = [...(this.leader()?.metadata.logStreams.values() ?? [])];
    return streams
      .map((it) => `${it.id} on ${it.members}/${it.replicas} since ${it.revision}`)
      .join('; ');
  }

  private leader(): MetadataRepository | undefined {
    return leaderAmong(MEMBERS.map((it) => this.rolesOf(it)?.repository));
  }

  private rolesOf(name: string): NodeRoles | undefined {
    return this.world.process(name) as NodeRoles | undefined;
  }

  private add(name: string): void {
    const { rebalanceBytes } = this;
    this.world.node(name, (ports) =>
      startRoles({
        ports,
        clusterId: 1,
        nodeId: Number(name.slice(1)),
        address: `${name}:9092`,
        members: endpoints.map((address, i) => ({ id: i + 1, address })),
        metadata: MEMBERS.includes(name)
          ? { directory: 'metadata', replicationFactor: FACTOR, rebalanceBytes }
          : undefined,
        storage: { directory: 'storage', writeAhead: drawWriteAhead(ports.random) },
      }),
    );
  }
}
