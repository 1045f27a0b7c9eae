import {
  type CallContext,
  decodeBatch,
  encodeBatch,
  type Handler,
  handler,
  type MessageStream,
  type Network,
  type Server,
  VarlogError,
  Wakeups,
} from '../../base/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as wire from '../../wire/gen/log.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import { ofCluster } from '../of-cluster.ts';

interface FakeLogStream {
  readonly id: number;
  /** Storage nodes, the primary first. */
  replicas: number[];
  sealed: boolean;
  readonly batches: wire.Batch[];
}

/** What a fake storage node does with an appended batch: `undefined` is to store and acknowledge it. */
export type AppendFault =
  | { kind: 'refuse'; code: string; outcome: 'notAppended' | 'unknown'; what?: string }
  | { kind: 'storeAndBreak' }
  | { kind: 'break' }
  | { kind: 'refuseStream' }
  | { kind: 'silent' };

/**
 * A cluster of one topic (id 1) without disks and rules, for the tests of the client: real calls over a real
 * network to servers that do what a test tells them.
 */
export class FakeCluster {
  clusterId = 7;
  cluster = 'fake cluster';
  readonly endpoint: string;
  readonly streams = new Map<number, FakeLogStream>();
  highWatermark = 0;
  trimmed = 0;
  topicExists = true;
  /** Streams of reads that are open, and all that ever were. */
  readsOpen = 0;
  readsEver = 0;
  /** Bytes of records handed to the network for reads. */
  bytesSent = 0;
  renewals = 0;
  batchesPerMessage = 4;
  appendFault: (batch: wire.AppendBatch, node: number) => AppendFault | undefined = () => undefined;
  /** Called before each message of a read: throwing breaks that stream. */
  beforeReadMessage: (node: number, logStream: number) => void = () => {};
  /** Whether a node keeps quiet about what is committed. */
  isDeaf: (node: number) => boolean = () => false;
  readonly trims: number[] = [];
  /** Nodes that were asked how far they have come, and how often the metadata repository was. */
  readonly extents: number[] = [];
  tails = 0;
  /** Whether its nodes are of a version that can be asked how far they have come. */
  knowsExtents = true;
  /** Nodes that were asked where a time begins. */
  readonly seeks: number[] = [];
  private readonly network: Network;
  private readonly nodes = new Map<number, Server>();
  private readonly addresses = new Map<number, string>();
  private repository!: Server;
  private readonly changes = new Wakeups();

  private constructor(network: Network, endpoint: string) {
    this.network = network;
    this.endpoint = endpoint;
  }

  /** `layout`: for each log stream, from 1 on, its storage nodes with the primary first. */
  static async start(network: Network, layout: number[][]): Promise<FakeCluster> {
    const late: { cluster?: FakeCluster } = {};
    const server = await network.serve(
      '127.0.0.1:0',
      identified(
        () => late.cluster!,
        repositoryHandlers(() => late.cluster!),
      ),
    );
    const cluster = new FakeCluster(network, server.address);
    late.cluster = cluster;
    cluster.repository = server;
    for (const node of new Set(layout.flat())) await cluster.startNode(node);
    layout.forEach((replicas, i) => {
      cluster.addLogStream(i + 1, replicas);
    });
    return cluster;
  }

  addLogStream(id: number, replicas: number[]): void {
    this.streams.set(id, { id, replicas, sealed: false, batches: [] });
  }

  async startNode(node: number): Promise<void> {
    const address = this.addresses.get(node) ?? (await freeAddresses(1))[0]!;
    this.addresses.set(node, address);
    this.nodes.set(
      node,
      await this.network.serve(
        address,
        identified(() => this, storageHandlers(this, node)),
      ),
    );
  }

  async stopNode(node: number): Promise<void> {
    await this.nodes.get(node)?.close();
    this.nodes.delete(node);
  }

  async close(): Promise<void> {
    for (const node of [...this.nodes.keys()]) await this.stopNode(node);
    await this.repository.close();
  }

  /** Stores and commits texts as one batch. Gives back the GLSN of the first. */
  commit(logStream: number, texts: string[], timestamp = 0): number {
    const encoder = new TextEncoder();
    const { count, bytes } = encodeBatch(texts.map((it) => encoder.encode(it)));
    return this.commitBatch(logStream, count, bytes, timestamp).glsn;
  }

  commitBatch(logStream: number, count: number, records: Uint8Array, timestamp = 0): wire.Batch {
    const { batches } = this.streams.get(logStream)!;
    const last = batches.at(-1);
    const llsn = last === undefined ? 1 : last.llsn + last.count;
    const glsn = this.highWatermark + 1;
    const batch = wire.Batch.create({ llsn, glsn, count, records, timestamp });
    batches.push(batch);
    this.highWatermark += count;
    this.wakeReaders();
    return batch;
  }

  /** The texts of the topic in order. */
  texts(): string[] {
    const decoder = new TextDecoder();
    return [...this.streams.values()]
      .flatMap((it) => it.batches)
      .sort((a, b) => a.glsn - b.glsn)
      .flatMap((it) => decodeBatch({ count: it.count, bytes: it.records }))
      .map((it) => decoder.decode(it));
  }

  wakeReaders(): void {
    this.changes.wake();
  }

  changed(signal: AbortSignal): Promise<void> {
    return this.changes.wait(signal);
  }

  health(): wire.HealthResponse {
    return wire.HealthResponse.create({
      topicIds: this.topicExists ? [1] : [],
      storageNodes: [...this.addresses].map(([storageNodeId, address]) =>
        wire.StorageNodeHealth.create({ storageNodeId, address, connected: true }),
      ),
      logStreams: [...this.streams.values()].map(({ id, replicas, sealed }) =>
        wire.LogStreamHealth.create({
          topicId: 1,
          logStreamId: id,
          sealed,
          replicas: replicas.map((storageNodeId) =>
            wire.ReplicaHealth.create({ storageNodeId, member: true, state: 'open' }),
          ),
        }),
      ),
    });
  }

  metadata(): varlogpb.MetadataDescriptor {
    this.renewals++;
    return varlogpb.MetadataDescriptor.create({
      storageNodes: [...this.addresses].map(([storageNodeId, address]) =>
        varlogpb.StorageNodeDescriptor.create({
          storageNode: varlogpb.StorageNode.create({ storageNodeId, address }),
        }),
      ),
      topics: this.topicExists
        ? [varlogpb.TopicDescriptor.create({ topicId: 1, logStreams: [...this.streams.keys()] })]
        : [],
      logStreams: [...this.streams.values()].map(({ id, replicas, sealed }) =>
        varlogpb.LogStreamDescriptor.create({
          topicId: 1,
          logStreamId: id,
          status: sealed ? 2 : 0,
          replicas: replicas.map((storageNodeId) =>
            varlogpb.ReplicaDescriptor.create({ storageNodeId }),
          ),
        }),
      ),
    });
  }
}

function identified(cluster: () => FakeCluster, handlers: Handler[]): Handler[] {
  return ofCluster(handlers, () => cluster().cluster, 'a fake node');
}

function repositoryHandlers(cluster: () => FakeCluster): Handler[] {
  return [
    handler(wire.Ordering.Members, async () =>
      wire.MembersResponse.create({
        clusterId: cluster().clusterId,
        cluster: cluster().cluster,
        leader: 1,
        members: [wire.Member.create({ id: 1, address: cluster().endpoint })],
      }),
    ),
    handler(wire.Ordering.Tail, async ({ topicId }) => {
      cluster().tails++;
      const { topicExists, highWatermark, trimmed } = cluster();
      if (topicId !== 1 || !topicExists) {
        throw new VarlogError('TOPIC_NOT_FOUND', { what: `there is no topic ${topicId}` });
      }
      return wire.TailResponse.create({ glsn: highWatermark, firstGlsn: trimmed + 1 });
    }),
    handler(wire.Ordering.Trim, async ({ glsn }) => {
      cluster().trimmed = Math.max(cluster().trimmed, glsn);
      return wire.TrimResponse.create({});
    }),
    handler(wire.Ordering.Holds, async () => wire.HoldsResponse.create({})),
    handler(wire.Ordering.Health, async () => cluster().health()),
    handler(mrpb.MetadataRepositoryService.GetMetadata, async () =>
      mrpb.GetMetadataResponse.create({ metadata: cluster().metadata() }),
    ),
    handler(admpb.ClusterManager.AddLogStream, async () => {
      throw new VarlogError('FAILED_PRECONDITION', { what: 'there are too few storage nodes' });
    }),
    handler(admpb.ClusterManager.AddTopic, async () =>
      admpb.AddTopicResponse.create({ topic: varlogpb.TopicDescriptor.create({ topicId: 1 }) }),
    ),
    handler(admpb.ClusterManager.UnregisterTopic, async () => {
      cluster().topicExists = false;
      return admpb.UnregisterTopicResponse.create({});
    }),
  ];
}

function storageHandlers(cluster: FakeCluster, node: number): Handler[] {
  return [
    handler(wire.LogStreams.Append, (stream) => serveAppends(cluster, node, stream)),
    handler(wire.LogStreams.Read, async (request, stream, context) => {
      cluster.readsOpen++;
      cluster.readsEver++;
      try {
        await serveRead(cluster, node, request, stream, context);
      } finally {
        cluster.readsOpen--;
      }
    }),
    handler(wire.LogStreams.Extent, async ({ atLeast }, { signal }) => {
      if (!cluster.knowsExtents) throw new VarlogError('UNIMPLEMENTED', { what: 'too old' });
      cluster.extents.push(node);
      while (cluster.isDeaf(node) || cluster.highWatermark < atLeast) {
        signal.throwIfAborted();
        await cluster.changed(signal);
      }
      const { highWatermark, trimmed } = cluster;
      return wire.ExtentResponse.create({ firstGlsn: trimmed + 1, highWatermark });
    }),
    handler(wire.LogStreams.Seek, async ({ logStreamId, timestamp }) => {
      cluster.seeks.push(node);
      const { batches } = cluster.streams.get(logStreamId)!;
      if (cluster.isDeaf(node)) return wire.SeekResponse.create({});
      const found = batches.find((it) => it.timestamp >= timestamp);
      const { highWatermark } = cluster;
      return wire.SeekResponse.create({ glsn: found?.glsn ?? 0, highWatermark });
    }),
    handler(snpb.Management.Trim, async () => {
      cluster.trims.push(node);
      return snpb.TrimResponse.create({});
    }),
  ];
}

async function serveAppends(
  cluster: FakeCluster,
  node: number,
  stream: MessageStream<wire.AppendResponse, wire.AppendRequest>,
): Promise<void> {
  let cut: (error: unknown) => void = () => {};
  const broken = new Promise<void>((_, reject) => {
    cut = reject;
  });
  stream.receive(({ batches }) => {
    const results: wire.AppendResult[] = [];
    for (const batch of batches) {
      const { sequence } = batch;
      const logStream = cluster.streams.get(batch.logStreamId)!;
      let fault = cluster.appendFault(batch, node);
      if (fault === undefined && logStream.replicas[0] !== node) {
        fault = { kind: 'refuse', code: 'NOT_PRIMARY', outcome: 'notAppended' };
      } else if (fault === undefined && logStream.sealed) {
        fault = { kind: 'refuse', code: 'SEALED', outcome: 'notAppended' };
      }
      if (fault === undefined || fault.kind === 'storeAndBreak') {
        const { glsn, llsn } = cluster.commitBatch(logStream.id, batch.count, batch.records);
        if (fault === undefined) results.push(wire.AppendResult.create({ sequence, glsn, llsn }));
      }
      if (fault?.kind === 'refuse') {
        const { code, outcome, what = 'refused' } = fault;
        const failure = wire.Failure.create({ code, message: `${code}: ${what}.`, outcome });
        results.push(wire.AppendResult.create({ sequence, failure }));
      }
      if (fault?.kind === 'storeAndBreak' || fault?.kind === 'break') {
        cut(new VarlogError('UNAVAILABLE', { what: 'the node broke down' }));
      }
      if (fault?.kind === 'refuseStream') {
        cut(new VarlogError('UNAVAILABLE', { what: 'not known here yet', outcome: 'notAppended' }));
      }
    }
    if (results.length > 0) stream.send(wire.AppendResponse.create({ results }));
  });
  await Promise.race([stream.closed, broken]);
}

async function serveRead(
  cluster: FakeCluster,
  node: number,
  { logStreamId, fromGlsn, toGlsn }: wire.ReadRequest,
  stream: MessageStream<wire.ReadResponse, never>,
  { signal }: CallContext,
): Promise<void> {
  const logStream = cluster.streams.get(logStreamId);
  if (logStream === undefined || !logStream.replicas.includes(node)) {
    throw new VarlogError('LOG_STREAM_NOT_FOUND', { what: `no log stream ${logStreamId} here` });
  }
  if (fromGlsn <= cluster.trimmed) {
    const details = { firstAvailable: cluster.trimmed + 1 };
    throw new VarlogError('TRIMMED', { what: `${fromGlsn} was trimmed`, details });
  }
  const { batches } = logStream;
  const end = toGlsn === 0 ? Infinity : toGlsn;
  let index = batches.findIndex((it) => it.glsn + it.count > fromGlsn);
  if (index === -1) index = batches.length;
  let lastSent = -1;
  while (!signal.aborted) {
    const isDeaf = cluster.isDeaf(node) && lastSent >= 0;
    const watermark = isDeaf ? lastSent : cluster.highWatermark;
    const upTo = isDeaf ? index : index + cluster.batchesPerMessage;
    const next = batches.slice(index, upTo).filter((it) => it.glsn <= end);
    if (next.length > 0 || watermark > lastSent) {
      cluster.beforeReadMessage(node, logStreamId);
      for (const it of next) cluster.bytesSent += it.records.length;
      const highWatermark = next.length > 0 ? 0 : watermark;
      if (next.length === 0) lastSent = watermark;
      const room = stream.send(wire.ReadResponse.create({ batches: next, highWatermark }));
      index += next.length;
      if (!room) await stream.writable();
      continue;
    }
    if (watermark >= end) return;
    await cluster.changed(signal);
  }
}
