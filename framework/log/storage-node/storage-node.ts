import {
  type DirectoryLock,
  type Handler,
  type Ports,
  SerialQueue,
  type StorageNodeId,
  VarlogError,
} from '../../base/index.ts';
import type { DirectoryIdentity } from '../../store/index.ts';
import {
  type Assignment,
  Hello,
  Ordering,
  type SessionResponse,
  TrimRequest,
} from '../../wire/gen/log.ts';
import type { Report } from '../core/index.ts';
import { ofCluster } from '../of-cluster.ts';
import { Assignments } from './assignments.ts';
import { claimFolder } from './claim-folder.ts';
import { DiskWatch } from './disk-watch.ts';
import { logStreamHandlers } from './log-streams-service.ts';
import { MemoryBudget } from './memory-budget.ts';
import { type NodeFolder, nodeFolders } from './node-folders.ts';
import {
  allFailed,
  brokenReport,
  brokenStatus,
  type NodeStatus,
  shortcomings,
  statusOf,
} from './node-status.ts';
import { openReplica } from './open-replica.ts';
import { publishedHandlers } from './published-service.ts';
import { Rebuilder, type RebuilderHost } from './rebuilder.ts';
import { noReplica, unavailable } from './refusals.ts';
import type { LogStreamReplica } from './replica.ts';
import { SessionClient } from './session-client.ts';
import type { StorageNodeOptions } from './storage-node-options.ts';
import { Trash } from './trash.ts';

/** Keeps replicas of log streams on this machine's disk. */
export class StorageNode implements RebuilderHost {
  readonly options: StorageNodeOptions;
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: StorageNodeId;
  /** To be served at this node's address. */
  readonly handlers: readonly Handler[];
  readonly replicas = new Map<number, LogStreamReplica>();
  /** Log streams whose replica here cannot be opened, and why. */
  private readonly broken = new Map<number, VarlogError>();
  /** Of this run of the process. */
  readonly process: string;
  readonly memory: MemoryBudget;
  private readonly diskWatch: DiskWatch;
  private readonly lock: DirectoryLock;
  private readonly identity: DirectoryIdentity;
  private readonly trash: Trash;
  private readonly session: SessionClient;
  /** Opening and removing replicas happens one after the other. */
  private readonly changes = new SerialQueue((error) => {
    this.ports.logger.log('error', 'a replica cannot be changed', { error: String(error) });
  });
  private readonly assignments = new Assignments();
  /** Log streams whose replica is being opened, and for which wish: a later one is another. */
  private readonly opening = new Map<number, symbol>();
  private readonly rebuilder: Rebuilder;
  private readonly begunAnew = new Set<number>();
  private heardAll = false;
  /** Why the folder of this node is of no use any more. */
  private lost: VarlogError | undefined;
  private closed: Promise<void> | undefined;

  private constructor(
    options: StorageNodeOptions,
    lock: DirectoryLock,
    identity: DirectoryIdentity,
    trash: Trash,
  ) {
    this.options = options;
    const { disk, clock, logger } = options.ports;
    this.diskWatch = new DiskWatch(disk, clock, logger);
    this.ports = { ...options.ports, disk: this.diskWatch.disk };
    this.clusterId = options.clusterId;
    this.storageNodeId = options.storageNodeId;
    this.lock = lock;
    this.identity = identity;
    this.trash = trash;
    this.process = options.ports.random.id();
    this.memory = new MemoryBudget(options);
    this.rebuilder = new Rebuilder(this);
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
    const { lock, identity, found } = await claimFolder(options);
    try {
      const trash = await Trash.open(options.ports, options.directory, options.trashKeepMs);
      const node = new StorageNode(options, lock, identity, trash);
      await Promise.all(found.map((name) => node.openKnown(name)));
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

  get status(): NodeStatus {
    const broken = [...this.broken].map(([id, error]) =>
      brokenStatus(this.assignments.get(id)?.topicId ?? 0, id, error),
    );
    const replicas = [...this.replicas.values()].map(statusOf);
    return {
      connected: this.session.connected,
      refusal: this.session.refusal,
      slowestWriteMs: this.diskWatch.slowestMs,
      trashed: this.trash.size,
      replicas: [...replicas, ...broken],
    };
  }

  /** What keeps this node from serving; empty when it is ready. */
  notReady(): string[] {
    const { connected, refusal, replicas } = this.status;
    const link = refusal?.message ?? 'no link to the leader of the metadata repository';
    const lost = this.lost === undefined ? [] : [this.lost.message];
    return [...lost, ...(connected ? [] : [link]), ...shortcomings(replicas, this.heardAll)];
  }

  /** Why this process is of no use any more, and nothing but a restart helps; `undefined` while it is. */
  get health(): string | undefined {
    const ids = [...this.replicas.keys(), ...this.broken.keys()];
    return allFailed(ids.map((it) => this.failureOf(it))) ?? this.lost?.message;
  }

  /** What must stay on the disk while this node runs. */
  get folders(): NodeFolder[] {
    return nodeFolders(this.options.directory, this.replicas, (error) => this.loseAll(error));
  }

  private loseAll(error: VarlogError): void {
    this.lost = error;
    // What is made there now would be taken for this node's folder.
    this.rebuilder.stop();
    for (const it of this.replicas.values()) it.fail(error);
  }

  reportChanged(replica: LogStreamReplica): void {
    if (this.replicas.get(replica.logStreamId) !== replica) return;
    this.session.report(replica.logStreamId, () => replica.report);
  }

  replicaFailed({ logStreamId }: LogStreamReplica): void {
    this.rebuilder.attend(logStreamId);
  }

  failureOf(logStreamId: number): VarlogError | undefined {
    return this.replicas.get(logStreamId)?.failure ?? this.broken.get(logStreamId);
  }

  assignmentOf(logStreamId: number): Assignment | undefined {
    return this.assignments.get(logStreamId);
  }

  beginAnew(logStreamId: number): Promise<void> {
    const failed = this.replicas.get(logStreamId);
    // What was begun anew before and took over nothing since holds copies, and perhaps not even these.
    const isCopy = failed === undefined ? this.begunAnew.has(logStreamId) : failed.core.epoch === 0;
    this.begunAnew.add(logStreamId);
    return this.reopen(logStreamId, () =>
      isCopy ? this.trash.discard(logStreamId) : this.trash.put(logStreamId, true),
    );
  }

  openAgain(logStreamId: number): Promise<void> {
    return this.reopen(logStreamId);
  }

  private reopen(logStreamId: number, before?: () => Promise<void>): Promise<void> {
    this.changes.post(async () => {
      const wanted = this.assignments.get(logStreamId);
      if (wanted === undefined || this.failureOf(logStreamId) === undefined) return;
      const failed = this.replicas.get(logStreamId);
      this.replicas.delete(logStreamId);
      this.broken.delete(logStreamId);
      const opening = this.beginOpening(logStreamId);
      await failed?.close().catch(() => {});
      await this.openWanted(wanted.topicId, logStreamId, opening, before);
    });
    return this.changes.settled();
  }

  askHistory(logStreamId: number, version: number): void {
    this.session.askHistory(logStreamId, version);
  }

  /** The replica of a log stream on this node. */
  find(topicId: number, logStreamId: number): LogStreamReplica {
    const replica = this.replicas.get(logStreamId);
    if (replica !== undefined && replica.topicId === topicId) return replica;
    const broken = this.broken.get(logStreamId);
    if (broken !== undefined) throw unavailable(logStreamId, this.storageNodeId, broken.message);
    if (this.assignments.get(logStreamId)?.topicId === topicId) {
      throw unavailable(logStreamId, this.storageNodeId, 'it is being opened');
    }
    throw noReplica(topicId, logStreamId, this.storageNodeId);
  }

  /** Trims a topic, for all of its replicas everywhere: resolves when that is decided, and done here. */
  async trim(topicId: number, glsn: number): Promise<void> {
    await this.session.call(Ordering.Trim, TrimRequest.create({ topicId, glsn }));
    const replicas = [...this.replicas.values()].filter((it) => it.topicId === topicId);
    await Promise.all(replicas.filter((it) => it.failure === undefined).map((it) => it.trim(glsn)));
  }

  close(): Promise<void> {
    this.closed ??= (async () => {
      this.rebuilder.stop();
      await this.session.close();
      this.trash.close();
      await this.changes.settled();
      for (const replica of this.replicas.values()) await replica.close();
      await this.lock.release();
    })();
    return this.closed;
  }

  /** What is on disk from an earlier life. */
  private async openKnown(name: string): Promise<void> {
    if (!/^[1-9]\d*$/.test(name)) {
      this.ports.logger.log('warn', 'what is no replica lies among the replicas', { name });
      return;
    }
    const logStreamId = Number(name);
    const opened = await this.open(0, logStreamId);
    if (opened === undefined) return;
    if (opened.topicId !== 0) this.replicas.set(logStreamId, opened);
    // Nothing was ever taken over there: it is opened again when it is wanted.
    else await opened.close();
  }

  /** Opens a replica, or takes note that it cannot be: the others go on. */
  private async open(
    topicId: number,
    logStreamId: number,
    before?: () => Promise<void>,
  ): Promise<LogStreamReplica | undefined> {
    try {
      if (this.lost !== undefined) throw this.lost;
      await before?.();
      await this.trash.bringBack(logStreamId);
      return await openReplica(this, this.options.directory, topicId, logStreamId);
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      this.ports.logger.log('error', 'a replica cannot be opened', {
        logStream: logStreamId,
        error: error.message,
      });
      this.broken.set(logStreamId, error);
      return undefined;
    }
  }

  private allReports(): Report[] {
    const assigned = [...this.replicas.values()].filter((it) => it.core.assigned);
    const wanted = [...this.broken.keys()].map((id) => this.brokenReport(id));
    return [...assigned.map((it) => it.report), ...wanted];
  }

  private brokenReport(logStreamId: number): Report {
    const { epoch = 0 } = this.assignments.get(logStreamId) ?? {};
    return brokenReport(logStreamId, epoch, this.broken.get(logStreamId));
  }

  private reportBroken(logStreamId: number): void {
    this.session.report(logStreamId, () => this.brokenReport(logStreamId));
    this.rebuilder.attend(logStreamId);
  }

  private handle(response: SessionResponse): void | Promise<void> {
    const { cluster } = response;
    if (cluster === '' || cluster === this.cluster) return this.obey(response);
    return this.identity.join(cluster).then(() => this.obey(response));
  }

  private obey(response: SessionResponse): void {
    this.assignments.hear(response);
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
      this.reportBroken(logStreamId);
      return;
    }
    if (this.opening.has(logStreamId)) return;
    const opening = this.beginOpening(logStreamId);
    this.changes.post(() => this.openWanted(topicId, logStreamId, opening));
  }

  private beginOpening(logStreamId: number): symbol {
    const opening = Symbol('opening');
    this.opening.set(logStreamId, opening);
    return opening;
  }

  private async openWanted(
    topicId: number,
    logStreamId: number,
    opening: symbol,
    before?: () => Promise<void>,
  ): Promise<void> {
    const opened = await this.open(topicId, logStreamId, before);
    // As it is by now: what came meanwhile was not heard by a replica.
    const wanted = this.assignments.get(logStreamId);
    // Taken away again in the meantime.
    if (wanted === undefined || this.opening.get(logStreamId) !== opening) return opened?.close();
    this.opening.delete(logStreamId);
    if (opened === undefined) return this.reportBroken(logStreamId);
    this.replicas.set(logStreamId, opened);
    opened.assign(wanted);
  }

  private remove(logStreamId: number): void {
    const replica = this.replicas.get(logStreamId);
    this.replicas.delete(logStreamId);
    this.broken.delete(logStreamId);
    this.opening.delete(logStreamId);
    this.changes.post(async () => {
      await replica?.close();
      await this.trash.put(logStreamId);
      this.session.confirmRemoval(logStreamId);
    });
  }
}

/** Starts a storage node. Serve its `handlers` at its address. */
export function startStorageNode(options: StorageNodeOptions): Promise<StorageNode> {
  return StorageNode.start(options);
}
