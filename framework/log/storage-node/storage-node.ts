import {
  type DirectoryLock,
  type Handler,
  type Ports,
  type StorageNodeId,
  VarlogError,
} from '../../base/index.ts';
import { DirectoryIdentity } from '../../store/index.ts';
import { type Assignment, Hello, type SessionResponse } from '../../wire/gen/log.ts';
import type { Report } from '../core/index.ts';
import { ofCluster } from '../of-cluster.ts';
import { logStreamHandlers } from './log-streams-service.ts';
import { publishedHandlers } from './published-service.ts';
import { LogStreamReplica, type ReplicaHost } from './replica.ts';
import { openReplicaStorage } from './replica-storage.ts';
import { SessionClient } from './session-client.ts';
import { Trash } from './trash.ts';

export interface StorageNodeOptions {
  ports: Ports;
  clusterId: number;
  storageNodeId: StorageNodeId;
  /** Where clients and other nodes reach this node, and where its handlers are served. */
  address: string;
  directory: string;
  /** Addresses of metadata repository members. */
  metadataRepository: readonly string[];
  /** Replicas that were taken away can be brought back for so long. Default: 24 hours. */
  trashKeepMs?: number;
}

const TRASH_KEEP_MS = 24 * 3_600_000;

/** What a replica looks like from outside. */
export interface ReplicaStatus {
  topicId: number;
  logStreamId: number;
  state: string;
  role: 'primary' | 'backup' | 'learner';
  primary: boolean;
  epoch: number;
  end: number;
  durableEnd: number;
  committed: number;
}

/** Keeps replicas of log streams on this machine's disk. */
export class StorageNode implements ReplicaHost {
  readonly options: StorageNodeOptions;
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: StorageNodeId;
  /** To be served at this node's address. */
  readonly handlers: readonly Handler[];
  readonly replicas = new Map<number, LogStreamReplica>();
  /** Log streams whose replica here cannot be opened, and the epoch for which they were wanted. */
  private readonly broken = new Map<number, { error: VarlogError; epoch: number | undefined }>();
  /** Of this run of the process. */
  readonly process: string;
  private readonly lock: DirectoryLock;
  private readonly identity: DirectoryIdentity;
  private readonly trash: Trash;
  private readonly session: SessionClient;
  /** Opening and removing replicas happens one after the other. */
  private changing: Promise<void> = Promise.resolve();
  private opening = new Map<number, Assignment>();
  private heardAll = false;
  private closed: Promise<void> | undefined;

  private constructor(
    options: StorageNodeOptions,
    lock: DirectoryLock,
    identity: DirectoryIdentity,
    trash: Trash,
  ) {
    this.options = options;
    this.ports = options.ports;
    this.clusterId = options.clusterId;
    this.storageNodeId = options.storageNodeId;
    this.lock = lock;
    this.identity = identity;
    this.trash = trash;
    this.process = options.ports.random.id();
    this.handlers = ofCluster(
      [...logStreamHandlers(this), ...publishedHandlers(this)],
      () => this.cluster,
      `storage node ${options.storageNodeId}`,
    );
    this.session = new SessionClient({
      ports: options.ports,
      hello: Hello.create({
        clusterId: options.clusterId,
        storageNodeId: options.storageNodeId,
        address: options.address,
        incarnation: this.process,
        disk: identity.disk,
      }),
      cluster: () => this.cluster,
      members: options.metadataRepository,
      allReports: () => this.allReports(),
      handle: (response) => this.handle(response),
    });
  }

  static async start(options: StorageNodeOptions): Promise<StorageNode> {
    const { disk } = options.ports;
    await disk.makeDirectory(options.directory);
    const lock = await disk.lock(options.directory);
    try {
      const { directory, ports } = options;
      const found = await disk.list(`${directory}/replicas`);
      if (found.length > 0 && !(await disk.list(directory)).includes('identity')) {
        throw nobodys(directory);
      }
      const owner = {
        kind: 'storage node',
        nodeId: options.storageNodeId,
        clusterId: options.clusterId,
      };
      const identity = await DirectoryIdentity.claim(disk, directory, owner, ports.random.id());
      const trash = await Trash.open(ports, directory, options.trashKeepMs ?? TRASH_KEEP_MS);
      const node = new StorageNode(options, lock, identity, trash);
      for (const name of found) await node.openKnown(Number(name));
      node.session.start();
      return node;
    } catch (error) {
      await lock.release();
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

  get status(): { connected: boolean; replicas: ReplicaStatus[] } {
    return {
      connected: this.session.connected,
      replicas: [...this.replicas.values()].map(({ topicId, logStreamId, core }) => ({
        topicId,
        logStreamId,
        state: core.state,
        role: core.isPrimary ? 'primary' : core.state === 'learning' ? 'learner' : 'backup',
        primary: core.isPrimary,
        epoch: core.epoch,
        end: core.end,
        durableEnd: core.durableEnd,
        committed: core.committedEnd,
      })),
    };
  }

  /** What keeps this node from serving; empty when it is ready. */
  notReady(): string[] {
    const { connected, replicas } = this.status;
    const failed = replicas.filter((it) => it.state === 'failed' && this.heardAll);
    return [
      ...(connected
        ? []
        : [this.session.refusal?.message ?? 'no link to the leader of the metadata repository']),
      ...failed.map((it) => `the replica of log stream ${it.logStreamId} failed`),
      ...[...this.broken].map(([id, { error }]) => `log stream ${id}: ${error.message}`),
    ];
  }

  reportChanged(replica: LogStreamReplica): void {
    if (this.replicas.get(replica.logStreamId) !== replica) return;
    this.session.report(replica.logStreamId, () => replica.report);
  }

  askHistory(logStreamId: number, version: number): void {
    this.session.askHistory(logStreamId, version);
  }

  /** The replica of a log stream on this node. */
  find(topicId: number, logStreamId: number): LogStreamReplica {
    const replica = this.replicas.get(logStreamId);
    if (replica !== undefined && replica.topicId === topicId) return replica;
    throw new VarlogError('LOG_STREAM_NOT_FOUND', {
      what: `no such log stream: storage node ${this.storageNodeId} has no replica of log stream ${logStreamId} of topic ${topicId}`,
      next: 'ask the metadata repository where it is',
      details: { topicId, logStreamId },
      outcome: 'notAppended',
    });
  }

  close(): Promise<void> {
    this.closed ??= (async () => {
      await this.session.close();
      this.trash.close();
      await this.changing;
      for (const replica of this.replicas.values()) await replica.close();
      await this.lock.release();
    })();
    return this.closed;
  }

  /** What is on disk from an earlier life. */
  private async openKnown(logStreamId: number): Promise<void> {
    const opened = await this.open(0, logStreamId);
    if (opened === undefined) return;
    if (opened.topicId !== 0) this.replicas.set(logStreamId, opened);
    // Nothing was ever taken over there: it is opened again when it is wanted.
    else await opened.close();
  }

  /** Opens a replica, or takes note that it cannot be: the others go on. */
  private async open(topicId: number, logStreamId: number): Promise<LogStreamReplica | undefined> {
    try {
      await this.trash.bringBack(logStreamId);
      return await openReplica(this, this.options.directory, topicId, logStreamId);
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      this.ports.logger.log('error', 'a replica cannot be opened', {
        logStream: logStreamId,
        error: error.message,
      });
      this.broken.set(logStreamId, { error, epoch: undefined });
      return undefined;
    }
  }

  private allReports(): Report[] {
    const assigned = [...this.replicas.values()].filter((it) => it.core.assigned);
    const wanted = [...this.broken.keys()].map((id) => this.brokenReport(id));
    return [...assigned.map((it) => it.report), ...wanted];
  }

  private brokenReport(logStreamId: number): Report {
    const epoch = this.broken.get(logStreamId)?.epoch ?? 0;
    return { logStreamId, epoch, end: 0, persistedVersion: 0, state: 'failed' };
  }

  private reportBroken({ logStreamId, epoch }: Assignment): void {
    const broken = this.broken.get(logStreamId);
    if (broken === undefined) return;
    broken.epoch = epoch;
    this.session.report(logStreamId, () => this.brokenReport(logStreamId));
  }

  private handle(response: SessionResponse): void | Promise<void> {
    const { cluster } = response;
    if (cluster === '' || cluster === this.cluster) return this.obey(response);
    return this.identity.join(cluster).then(() => this.obey(response));
  }

  private obey(response: SessionResponse): void {
    for (const assignment of response.assignments) this.take(assignment);
    if (response.complete) {
      this.heardAll = true;
      for (const { core, logStreamId } of this.replicas.values()) {
        if (core.assigned) continue;
        // Whoever does not mention it may not know of it yet, or any more: no reason to part with it.
        this.ports.logger.log('warn', 'a replica is not assigned', { logStream: logStreamId });
      }
    }
    for (const commit of response.commits) {
      this.replicas.get(commit.logStreamId)?.commitAll([commit]);
    }
    for (const { topicId, highWatermark } of response.watermarks) {
      for (const replica of this.replicas.values()) {
        if (replica.topicId === topicId) replica.watermarkMoved(highWatermark);
      }
    }
  }

  private take(assignment: Assignment): void {
    const { logStreamId, topicId } = assignment;
    if (assignment.removed) {
      this.remove(logStreamId);
      return;
    }
    const replica = this.replicas.get(logStreamId);
    if (replica !== undefined) {
      replica.assign(assignment);
      return;
    }
    if (this.broken.has(logStreamId)) {
      this.reportBroken(assignment);
      return;
    }
    const already = this.opening.has(logStreamId);
    this.opening.set(logStreamId, assignment);
    if (already) return;
    this.change(async () => {
      const opened = await this.open(topicId, logStreamId);
      const newest = this.opening.get(logStreamId);
      this.opening.delete(logStreamId);
      // Taken away again in the meantime.
      if (newest === undefined) return opened?.close();
      if (opened === undefined) return this.reportBroken(newest);
      this.replicas.set(logStreamId, opened);
      opened.assign(newest);
    });
  }

  private remove(logStreamId: number): void {
    const replica = this.replicas.get(logStreamId);
    this.replicas.delete(logStreamId);
    this.broken.delete(logStreamId);
    this.opening.delete(logStreamId);
    this.change(async () => {
      await replica?.close();
      await this.trash.put(logStreamId);
      this.session.confirmRemoval(logStreamId);
    });
  }

  private change(work: () => Promise<void>): void {
    this.changing = this.changing.then(work).catch((error: unknown) => {
      this.ports.logger.log('error', 'a replica cannot be removed', { error: String(error) });
    });
  }
}

/** Starts a storage node. Serve its `handlers` at its address. */
export function startStorageNode(options: StorageNodeOptions): Promise<StorageNode> {
  return StorageNode.start(options);
}

function nobodys(directory: string): VarlogError {
  return new VarlogError('DISK_LOST', {
    what: `${directory} holds replicas, but not the file that says whose they are`,
    because: 'part of the folder was lost or left behind when it was copied',
    next: 'bring back the file "identity", or move the folder aside and run "varlog node replace"',
    details: { directory },
  });
}

async function openReplica(
  host: ReplicaHost,
  directory: string,
  topicId: number,
  logStreamId: number,
): Promise<LogStreamReplica> {
  let replica: LogStreamReplica | undefined;
  const storage = await openReplicaStorage({
    disk: host.ports.disk,
    directory: `${directory}/replicas/${logStreamId}`,
    owner: `cluster ${host.cluster} disk ${host.disk}`,
    topicId,
    logStreamId,
    onFailure: (error) => replica?.fail(error),
  });
  replica = new LogStreamReplica(host, logStreamId, storage);
  return replica;
}
