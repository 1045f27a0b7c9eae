import {
  type Channel,
  encodeBatch,
  handler,
  type MessageStream,
  noLogger,
  type Ports,
  type Server,
  sleep,
  type Timer,
  VarlogError,
} from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import {
  AppendBatch,
  AppendRequest,
  type AppendResult,
  type Batch,
  LogStreams,
  Ordering,
  type PartEntry,
  ReadRequest,
  type SessionRequest,
  SessionResponse,
  TrimResponse,
} from '../../wire/gen/log.ts';
import { type Commit, Metadata } from '../core/index.ts';
import { Orderer } from '../metadata-repository/orderer.ts';
import type { StorageNodeLink } from '../metadata-repository/storage-node-link.ts';
import { StationHistograms } from '../station-histograms.ts';
import { LOG_TIMES } from '../timing.ts';
import type { MemoryLimits } from './memory-budget.ts';
import type { LogStreamReplica } from './replica.ts';
import { type StorageNode, startStorageNode } from './storage-node.ts';
import type { StorageNodeOptions } from './storage-node-options.ts';

const clock = realClock();
const network = new GrpcNetwork();
const memory = (disk: SimulatedDisk): Ports => ({
  clock,
  random: realRandom,
  disk,
  network,
  logger: noLogger,
});

type NodeLimits = MemoryLimits & Pick<StorageNodeOptions, 'recordBytesMax' | 'writeAhead'>;

/** Storage nodes on disks in memory, with a metadata repository that decides at once, alone. For tests. */
export class TestCluster {
  readonly metadata = new Metadata();
  readonly disks = new Map<number, SimulatedDisk>();
  readonly nodes = new Map<number, StorageNode>();
  /** Commits that never arrive. */
  loses: (commit: Commit, node: number) => boolean = () => false;
  /** Nodes that are told of no log stream at all. */
  forgets: (node: number) => boolean = () => false;
  /** Parts of atomic appends that are never let in. */
  withholds: (part: PartEntry) => boolean = () => false;
  private readonly limits: NodeLimits;
  private readonly orderer: Orderer;
  private readonly servers = new Map<number, Server>();
  private readonly channels: Channel[] = [];
  private readonly isolated = new Set<number>();
  private readonly links = new Map<number, StorageNodeLink>();
  private repository!: Server;
  private nextBeat: Timer | undefined;

  private constructor(limits: NodeLimits) {
    this.limits = limits;
    const ports = memory(new SimulatedDisk({ random: realRandom }));
    this.orderer = new Orderer(this.metadata, ports, {
      cluster: () => 'test cluster',
      execute: async (command) => this.apply(command),
      stations: new StationHistograms(['cut', 'raft']),
      lastHeardAt: () => Number.NEGATIVE_INFINITY,
    });
    this.beat();
  }

  static async start(nodes: readonly number[], limits: NodeLimits = {}): Promise<TestCluster> {
    const cluster = new TestCluster(limits);
    const link = handler(Ordering.Session, (stream) => cluster.serveLink(stream));
    const trim = handler(Ordering.Trim, async ({ topicId, glsn }) => {
      cluster.apply({ kind: 'trim', topicId, glsn });
      return TrimResponse.create({});
    });
    cluster.repository = await network.serve('127.0.0.1:0', [link, trim]);
    for (const id of nodes) {
      cluster.disks.set(id, new SimulatedDisk({ random: realRandom }));
      const address = (await freeAddresses(1))[0]!;
      cluster.apply({ kind: 'registerStorageNode', id, address });
      await cluster.startNode(id);
    }
    cluster.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
    return cluster;
  }

  /** With log streams 1, 2, … of topic 1, open on all of these nodes. */
  static async withLogStreams(
    nodes: readonly number[],
    logStreams = 1,
    limits: NodeLimits = {},
  ): Promise<TestCluster> {
    const cluster = await TestCluster.start(nodes, limits);
    for (let id = 1; id <= logStreams; id++) {
      cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [...nodes] });
      await cluster.reopen(id, [...nodes]);
    }
    return cluster;
  }

  /** Applies a command, and tells the nodes. */
  apply(command: Parameters<Metadata['apply']>[0]): void {
    const { result, changes } = this.metadata.apply(command);
    if (!result.ok) throw new VarlogError(result.code, { what: result.what });
    this.orderer.applied(changes);
  }

  /** Seals log stream 1 and gives it other replicas. */
  setReplicas(replicas: number[]): void {
    this.apply({ kind: 'seal', id: 1, byOperator: false });
    const { revision, replicas: holders } = this.metadata.logStreams.get(1)!;
    this.apply({ kind: 'setReplicas', id: 1, replicas, revision, holders });
  }

  async startNode(id: number): Promise<StorageNode> {
    const { address } = this.metadata.storageNodes.get(id)!;
    const node = await startStorageNode({
      ports: memory(this.disks.get(id)!),
      clusterId: 1,
      storageNodeId: id,
      address,
      directory: 'storage',
      metadataRepository: [this.repository.address],
      ...this.limits,
    });
    this.nodes.set(id, node);
    this.servers.set(id, await network.serve(address, node.handlers));
    return node;
  }

  /** Another process that believes to be node `id`: it has the file that says so. */
  async startTwin(id: number): Promise<StorageNode> {
    const disk = new SimulatedDisk({ random: realRandom });
    await disk.makeDirectory('storage');
    const original = await this.disks.get(id)!.open('storage/identity', 'existing');
    const copy = await disk.open('storage/identity', 'create');
    await copy.write(0, [await original.read(0, await original.size())]);
    await copy.sync();
    return startStorageNode({
      ports: memory(disk),
      clusterId: 1,
      storageNodeId: id,
      address: (await freeAddresses(1))[0]!,
      directory: 'storage',
      metadataRepository: [this.repository.address],
    });
  }

  /** Ends a node; with `powerLoss` what was not synced is gone. */
  async stopNode(id: number, how?: 'powerLoss'): Promise<void> {
    await this.servers.get(id)?.close();
    if (how === 'powerLoss') this.disks.get(id)!.crash('powerLoss');
    const closed = this.nodes.get(id)?.close();
    // What a dead disk was asked never settles; but the link must end, or two processes share it.
    if (how === 'powerLoss') closed?.catch(() => {});
    else await closed;
    this.nodes.delete(id);
    this.servers.delete(id);
  }

  /** Cuts the link between a node and the repository. */
  isolate(node: number): void {
    this.isolated.add(node);
    this.links.get(node)?.end();
  }

  rejoin(node: number): void {
    this.isolated.delete(node);
  }

  linkOf(node: number): StorageNodeLink | undefined {
    return this.links.get(node);
  }

  replica(node: number, logStreamId = 1): LogStreamReplica {
    return this.nodes.get(node)!.find(1, logStreamId);
  }

  state(node: number, logStreamId = 1): string {
    return this.nodes.get(node)?.replicas.get(logStreamId)?.core.state ?? 'absent';
  }

  reported(node: number, logStreamId = 1): string | undefined {
    return this.orderer.planner.reportOf(logStreamId, node)?.state;
  }

  /** Seals a log stream, waits until `members` have all of it, and opens it again with them. */
  async reopen(logStreamId: number, members: number[]): Promise<void> {
    this.apply({ kind: 'seal', id: logStreamId, byOperator: false });
    const { epoch } = this.metadata.logStreams.get(logStreamId)!;
    // What one said before it was opened in this epoch is no answer.
    const isSealed = (node: number): boolean => {
      const report = this.orderer.planner.reportOf(logStreamId, node);
      return report?.state === 'sealed' && report.epoch === epoch;
    };
    await eventually(() => members.every(isSealed));
    this.apply({
      kind: 'unseal',
      id: logStreamId,
      epoch: epoch + 1,
      members,
      disks: members.map((it) => this.metadata.storageNodes.get(it)!.disk),
      primaryProcess: this.orderer.processOf(members[0]!),
    });
    await eventually(() => members.every((it) => this.state(it, logStreamId) === 'open'));
  }

  connect(node: number): Channel {
    const channel = network.connect(this.metadata.storageNodes.get(node)!.address);
    this.channels.push(channel);
    return channel;
  }

  appender(node: number): Appender {
    return new Appender(this.connect(node));
  }

  /** The records of a log stream on one node, as `glsn:text`. */
  async read(node: number, from: number, to: number, logStreamId = 1): Promise<string[]> {
    const request = { topicId: 1, logStreamId, fromGlsn: from, toGlsn: to };
    const found: string[] = [];
    const stream = this.connect(node).subscribe(LogStreams.Read, ReadRequest.create(request));
    stream.receive(({ batches }) => {
      for (const batch of batches) found.push(...textsOf(batch));
    });
    await stream.closed;
    return found;
  }

  async close(): Promise<void> {
    this.nextBeat?.cancel();
    for (const it of this.channels) it.close();
    for (const id of [...this.nodes.keys()]) await this.stopNode(id);
    this.orderer.end();
    await this.repository.close();
  }

  /** In a real member, the heartbeats of Raft set the pace. */
  private beat(): void {
    this.orderer.keepAlive();
    this.nextBeat = clock.after(LOG_TIMES.keepaliveMs, () => this.beat());
  }

  private async serveLink(stream: MessageStream<SessionResponse, SessionRequest>): Promise<void> {
    let link: StorageNodeLink | undefined;
    let refuse: (error: unknown) => void = () => {};
    const refusal = new Promise<never>((_, reject) => {
      refuse = reject;
    });
    stream.receive((message) => {
      if (link === undefined) {
        const { storageNodeId: node, address, disk } = message.hello!;
        if (this.isolated.has(node)) {
          stream.cancel();
          return;
        }
        try {
          this.orderer.admit(message.hello!);
          this.apply({ kind: 'registerStorageNode', id: node, address, disk, move: true });
          link = this.orderer.open(message.hello!, this.lossy(stream, node));
          this.links.set(node, link);
        } catch (error) {
          return refuse(error);
        }
      }
      this.orderer.receive(link, message);
    });
    try {
      await Promise.race([stream.closed, refusal]);
    } finally {
      if (link !== undefined) this.orderer.closed(link);
    }
  }

  private lossy(
    stream: MessageStream<SessionResponse, SessionRequest>,
    node: number,
  ): MessageStream<SessionResponse, SessionRequest> {
    return {
      send: (message) => {
        const commits = message.commits.filter((it) => !this.loses(it, node));
        const assignments = this.forgets(node) ? [] : message.assignments;
        const entering = message.entering.filter((it) => !this.withholds(it));
        const heard = { ...message, commits, assignments, entering };
        return stream.send(SessionResponse.create(heard));
      },
      writable: () => stream.writable(),
      receive: (handler) => stream.receive(handler),
      end: () => stream.end(),
      cancel: () => stream.cancel(),
      closed: stream.closed,
    };
  }
}

/** A client's append stream. */
export class Appender {
  private readonly stream: MessageStream<AppendRequest, { results: AppendResult[] }>;
  private readonly waiting = new Map<number, (result: AppendResult) => void>();
  private next = 1;

  constructor(channel: Channel) {
    this.stream = channel.open(LogStreams.Append);
    this.stream.receive(({ results }) => {
      for (const it of results) this.waiting.get(it.sequence)?.(it);
    });
  }

  append(...texts: string[]): Promise<AppendResult> {
    return this.send({ ...batchOf(texts) });
  }

  send(fields: Partial<AppendBatch>): Promise<AppendResult> {
    const sequence = this.next++;
    const batch = AppendBatch.create({ topicId: 1, logStreamId: 1, ...fields, sequence });
    return new Promise((resolve) => {
      this.waiting.set(sequence, resolve);
      this.stream.send(AppendRequest.create({ batches: [batch] }));
    });
  }
}

export function batchOf(texts: readonly string[]): { count: number; records: Uint8Array } {
  const { count, bytes } = encodeBatch(texts.map((it) => new TextEncoder().encode(it)));
  return { count, records: bytes };
}

function textsOf({ glsn, count, records }: Batch): string[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const texts: string[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    const end = at + 4 + view.getUint32(at, true);
    texts.push(`${glsn + i}:${new TextDecoder().decode(records.subarray(at + 4, end))}`);
    at = end;
  }
  return texts;
}

/** Resolves once `holds` does: slowly, on a busy machine. A replica that cannot be asked now may be well later. */
export async function eventually(holds: () => boolean): Promise<void> {
  const until = clock.now() + 20_000;
  for (;;) {
    let reason: unknown;
    try {
      if (holds()) return;
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      reason = error;
    }
    if (clock.now() > until) throw new Error(`never came true: ${holds}`, { cause: reason });
    await sleep(clock, 2);
  }
}
