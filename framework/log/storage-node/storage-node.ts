import {
  type DirectoryLock,
  type DurationCounts,
  type Handler,
  Lanes,
  type Ports,
  type RecordLimits,
  recordLimits,
  SerialQueue,
  type StorageNodeId,
  TurnBudget,
  type UnaryMethod,
  type VarlogError,
} from '../../base/index.ts';
import {
  type DirectoryIdentity,
  DiskGuard,
  FolderWatch,
  WriteAheadDisk,
} from '../../store/index.ts';
import { Hello, Ordering, type SessionResponse, TrimRequest } from '../../wire/gen/log.ts';
import { Management } from '../../wire/gen/snpb.ts';
import { ChannelPool } from '../channel-pool.ts';
import { NEWEST_FEATURE_LEVEL, PRODUCER_LIMITS, type ProducerLimits } from '../core/index.ts';
import { ofCluster } from '../of-cluster.ts';
import { storageHistograms } from './append-stations.ts';
import { claimFolder } from './claim-folder.ts';
import { DiskWatch } from './disk-watch.ts';
import { HostedReplicas } from './hosted-replicas.ts';
import { KnownFolders } from './known-folders.ts';
import { KnownMembers } from './known-members.ts';
import { logStreamHandlers } from './log-streams-service.ts';
import { MemoryBudget } from './memory-budget.ts';
import { nodeFolders } from './node-folders.ts';
import { allFailed, type NodeStatus, shortcomings } from './node-status.ts';
import { publishedHandlers } from './published-service.ts';
import { type LogStreamReplica, type ReplicaNode, TRANSFERS_PER_TURN } from './replica.ts';
import { RepositoryLink } from './repository-link.ts';
import type { ServedNode } from './served-node.ts';
import type { StorageNodeOptions } from './storage-node-options.ts';
import { Trash } from './trash.ts';

/** The last segment is all of the records that is read and checked when a replica is opened. */
const SEGMENT_BYTES = 16 * 1024 * 1024;

/** Replicas whose commits are made durable at once: of those the files are open. */
const FLUSHED_AT_ONCE = 4;

/** What is open in the folder of a node beside its replicas. */
interface OpenFolder {
  readonly lock: DirectoryLock;
  readonly identity: DirectoryIdentity;
  readonly ahead: WriteAheadDisk;
  readonly trash: Trash;
  readonly members: KnownMembers;
}

/** Keeps replicas of log streams on this machine's disk. */
export class StorageNode implements ReplicaNode, ServedNode {
  readonly options: StorageNodeOptions;
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: StorageNodeId;
  readonly address: string;
  readonly directory: string;
  readonly knownFolders: KnownFolders;
  readonly recordLimits: RecordLimits;
  readonly startedAt: number;
  /** To be served at this node's address. */
  readonly handlers: readonly Handler[];
  /** Those that are open. */
  readonly replicas: ReadonlyMap<number, LogStreamReplica>;
  /** Random id of this run of the process. */
  readonly process: string;
  readonly memory: MemoryBudget;
  readonly segmentBytes: number;
  readonly diskReads = new SerialQueue();
  readonly commitFlushes = new Lanes<number>(FLUSHED_AT_ONCE);
  readonly transfers: TurnBudget;
  readonly fetchChannels: ChannelPool;
  readonly stations = storageHistograms();
  readonly hosted: HostedReplicas;
  private readonly diskWatch: DiskWatch;
  private readonly lock: DirectoryLock;
  private readonly identity: DirectoryIdentity;
  private readonly ahead: WriteAheadDisk;
  private readonly trash: Trash;
  private readonly members: KnownMembers;
  private readonly link: RepositoryLink;
  readonly producerLimits: ProducerLimits;
  private heardAll = false;
  /** Why the folder of this node is of no use any more. */
  private lost: VarlogError | undefined;
  private folderWatch: FolderWatch | undefined;
  private closed: Promise<void> | undefined;

  private constructor(options: StorageNodeOptions, folder: OpenFolder) {
    const { lock, identity, ahead, trash, members } = folder;
    this.options = options;
    const { disk, clock, logger } = options.ports;
    this.diskWatch = new DiskWatch(disk, clock, logger);
    this.ports = { ...options.ports, disk: this.diskWatch.disk };
    this.clusterId = options.clusterId;
    this.storageNodeId = options.storageNodeId;
    this.address = options.address;
    this.directory = options.directory;
    this.knownFolders = new KnownFolders(this.ports);
    this.recordLimits = recordLimits(options.recordBytesMax);
    this.startedAt = clock.wall();
    this.lock = lock;
    this.identity = identity;
    this.ahead = ahead;
    this.trash = trash;
    this.members = members;
    this.process = options.ports.random.id();
    this.memory = new MemoryBudget(options);
    this.producerLimits = options.producerLimits ?? PRODUCER_LIMITS;
    this.segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.transfers = new TurnBudget(clock, TRANSFERS_PER_TURN);
    this.fetchChannels = new ChannelPool(this.ports.network, () => this.cluster);
    this.handlers = ofCluster(
      [...logStreamHandlers(this), ...publishedHandlers(this)],
      () => this.cluster,
      `storage node ${options.storageNodeId}`,
      Management.GetMetadata,
    );
    this.link = new RepositoryLink({
      ports: options.ports,
      hello: Hello.create({
        clusterId: options.clusterId,
        storageNodeId: options.storageNodeId,
        address: options.address,
        incarnation: this.process,
        disk: identity.disk,
        supportedLevel: options.supportedLevel ?? NEWEST_FEATURE_LEVEL,
        hearsHeartbeats: options.leaderHeardAt !== undefined,
      }),
      cluster: () => this.cluster,
      members,
      allReports: () => this.hosted.reports,
      sizes: () => this.hosted.sizes,
      leaderHeardAt: options.leaderHeardAt ?? (() => Number.NEGATIVE_INFINITY),
      receive: (response) => this.handle(response),
    });
    this.hosted = new HostedReplicas(this, this.link, options.directory, trash);
    this.replicas = this.hosted.open;
  }

  static async start(given: StorageNodeOptions): Promise<StorageNode> {
    const guard = new DiskGuard(given.ports.disk);
    const guarded = { ...given, ports: { ...given.ports, disk: guard } };
    const { lock, identity, found } = await claimFolder(guarded);
    let trash: Trash | undefined;
    let node: StorageNode | undefined;
    try {
      const ahead = await WriteAheadDisk.open({
        ...given.writeAhead,
        ...guarded.ports,
        folder: given.directory,
        label: `storage node ${identity.disk}`,
        mark: identity,
        onFailure: (path, error) => node?.hosted.failAt(path, error),
      });
      const options = { ...given, ports: { ...given.ports, disk: ahead } };
      trash = await Trash.open(options.ports, options.directory, options.trashKeepMs);
      const members = await KnownMembers.open(options);
      const started = new StorageNode(options, { lock, identity, ahead, trash, members });
      node = started;
      await Promise.all(found.map((name) => started.hosted.openKnown(name)));
      started.link.start();
      started.watchFolders(guard);
      return started;
    } catch (error) {
      // In a folder that is given back, nothing may go on.
      trash?.close();
      await (node === undefined ? lock.release() : node.close());
      throw error;
    }
  }

  /** Identity of the cluster that this node is part of; `undefined` before it became so. */
  get cluster(): string | undefined {
    return this.identity.cluster;
  }

  /** Identity of this node's folder. */
  get disk(): string {
    return this.identity.disk;
  }

  /** How long its disk took for each sync. */
  get syncs(): DurationCounts {
    return this.diskWatch.syncs.counts;
  }

  get status(): NodeStatus {
    return {
      connected: this.link.connected,
      refusal: this.link.refusal,
      slowestWriteMs: this.diskWatch.slowestMs,
      trashed: this.trash.size,
      replicas: this.hosted.statuses,
    };
  }

  /** What keeps this node from serving; empty when it is ready. */
  notReady(): string[] {
    const { connected, refusal, replicas } = this.status;
    const link = refusal?.message ?? this.link.whyNot;
    const lost = this.lost === undefined ? [] : [this.lost.message];
    return [...lost, ...(connected ? [] : [link]), ...shortcomings(replicas, this.heardAll)];
  }

  /** Why this process is of no use any more, and nothing but a restart helps; `undefined` while it is. */
  get health(): string | undefined {
    return allFailed(this.hosted.failures) ?? this.lost?.message;
  }

  find(topicId: number, logStreamId: number): LogStreamReplica {
    return this.hosted.find(topicId, logStreamId);
  }

  wants(logStreamId: number): boolean {
    return this.hosted.assignmentOf(logStreamId) !== undefined;
  }

  ask<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return this.link.call(method, request);
  }

  async trim(topicId: number, glsn: number): Promise<void> {
    await this.ask(Ordering.Trim, TrimRequest.create({ topicId, glsn }));
    await this.hosted.trim(topicId, glsn);
  }

  /** Ends the link to the leader, and takes up no other one: this node is about to be closed. Idempotent. */
  leave(): Promise<void> {
    return this.link.close();
  }

  close(): Promise<void> {
    this.closed ??= (async () => {
      this.folderWatch?.stop();
      this.hosted.stopRebuilding();
      await this.leave();
      this.trash.close();
      await this.hosted.close();
      this.fetchChannels.close();
      await this.members.settled();
      await this.ahead.close();
      await this.lock.release();
    })();
    return this.closed;
  }

  /** Sees when what must stay on the disk while this node runs is taken away. */
  private watchFolders(disk: DiskGuard): void {
    const folders = nodeFolders(this.options.directory, this.ahead, this.replicas, (error) => {
      // What is closed now would make files in the place of the folder, and be in the way when that is brought back.
      disk.lose(error);
      this.lost = error;
      this.hosted.failAll(error);
    });
    this.folderWatch = new FolderWatch(folders, this.ports, () => this.diskWatch.syncs.total);
  }

  private handle(response: SessionResponse): void | Promise<void> {
    const { cluster } = response;
    if (cluster === '' || cluster === this.cluster) return this.obey(response);
    return this.identity.join(cluster).then(() => this.obey(response));
  }

  private obey(response: SessionResponse): void {
    this.heardAll ||= response.complete;
    this.members.learn(response.memberAddresses);
    this.hosted.obey(response);
  }
}

/** Starts a storage node. Serve its `handlers` at its address. */
export function startStorageNode(options: StorageNodeOptions): Promise<StorageNode> {
  return StorageNode.start(options);
}
