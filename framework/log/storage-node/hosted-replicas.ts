import { asVarlogError, Lanes, type VarlogError } from '../../base/index.ts';
import { type Assignment, ReplicaSizes, type SessionResponse } from '../../wire/gen/log.ts';
import type { Report } from '../core/index.ts';
import { assign } from './assign.ts';
import { Assignments } from './assignments.ts';
import { ByTopic } from './by-topic.ts';
import { commitAll } from './commit.ts';
import { brokenReport, brokenStatus, type LocalReplicaStatus, statusOf } from './node-status.ts';
import { openReplica } from './open-replica.ts';
import { letIn } from './park.ts';
import { Rebuilder } from './rebuilder.ts';
import type { LogStreamReplica, ReplicaHost, ReplicaNode } from './replica.ts';
import { noReplica, unavailable } from './replica-errors.ts';
import type { Trash } from './trash.ts';
import { trim } from './trim.ts';

/** Replicas that are opened or removed at once: what they read meanwhile is in memory, and a disk does little more at once. */
const CHANGED_AT_ONCE = 16;

/** How the replicas of a node reach the metadata repository. What they say MAY be lost with the link. */
export interface ReplicaLink {
  /** `current` gives the newest report when there is a way to tell it. */
  report(logStreamId: number, current: () => Report): void;
  /** With the next message the sizes of all replicas are told too. */
  tellSizes(): void;
  /** Commits from `version` on are missing. */
  requestHistory(logStreamId: number, version: number): void;
  /** A replica that was to go is gone. */
  confirmRemoval(logStreamId: number): void;
  /** How long messages are on the way, there and back, as measured last. */
  readonly wireMs: number;
}

/** The replicas of one storage node: opens them as they are wanted, and removes, rebuilds and finds them. */
export class HostedReplicas {
  /** Those that are open. */
  readonly open = new ByTopic<LogStreamReplica>();
  private readonly host: ReplicaHost;
  private readonly link: ReplicaLink;
  private readonly directory: string;
  private readonly trash: Trash;
  /** Log streams whose replica here cannot be opened, and why. */
  private readonly broken = new Map<number, VarlogError>();
  /** Opening and removing, by log stream: of one it happens one after the other. */
  private readonly changes = new Lanes<number>(CHANGED_AT_ONCE, (error) => {
    const { logger } = this.host.ports;
    logger.log('error', 'a replica cannot be changed', { error: String(error) });
  });
  private readonly assignments = new Assignments();
  /** Log streams whose replica is being opened, and for which wish: a later one is another. */
  private readonly opening = new Map<number, symbol>();
  private readonly rebuilder: Rebuilder;
  /** Log streams of which what is here took part in no epoch: copies of what others hold, and perhaps not even these. */
  private readonly copies = new Set<number>();
  /** Why the folder of this node is of no use any more. */
  private lost: VarlogError | undefined;

  constructor(node: ReplicaNode, link: ReplicaLink, directory: string, trash: Trash) {
    const { ports, clusterId, storageNodeId, disk, process, memory } = node;
    const { producerLimits, segmentBytes, diskReads, commitFlushes } = node;
    const { transfers, fetchChannels, stations } = node;
    this.host = {
      ...{ ports, clusterId, storageNodeId, disk, process, memory },
      ...{ producerLimits, segmentBytes, diskReads, commitFlushes },
      ...{ transfers, fetchChannels, stations },
      get repositoryWireMs() {
        return link.wireMs;
      },
      get cluster() {
        return node.cluster;
      },
      reportChanged: (replica) => this.reportChanged(replica),
      replicaFailed: ({ logStreamId }) => this.rebuilder.attend(logStreamId),
      requestHistory: (logStreamId, version) => link.requestHistory(logStreamId, version),
    };
    this.link = link;
    this.directory = directory;
    this.trash = trash;
    this.rebuilder = new Rebuilder({
      node,
      failureOf: (id) => this.failureOf(id),
      assignmentOf: (id) => this.assignments.get(id),
      beginAnew: (id) => this.beginAnew(id),
      openAgain: (id) => this.reopen(id),
    });
  }

  get statuses(): LocalReplicaStatus[] {
    const broken = [...this.broken].map(([id, error]) =>
      brokenStatus(this.assignments.get(id)?.topicId ?? 0, id, error),
    );
    return [...[...this.open.values()].map(statusOf), ...broken];
  }

  /** Why those that serve nothing do not, one for every replica. */
  get failures(): (VarlogError | undefined)[] {
    return [...this.open.keys(), ...this.broken.keys()].map((it) => this.failureOf(it));
  }

  /** Reports of all replicas that the metadata repository wants to be here. */
  get reports(): Report[] {
    const assigned = [...this.open.values()].filter((it) => it.core.assigned);
    const wanted = [...this.broken.keys()].map((id) => this.brokenReport(id));
    return [...assigned.map((it) => it.report), ...wanted];
  }

  get sizes(): ReplicaSizes {
    const bytes = [...this.open.values()].map(({ storage }) => storage.bytes);
    return ReplicaSizes.create({ logStreams: [...this.open.keys()], bytes });
  }

  /** The replica of a log stream on this node. Throws when there is none, or it cannot be opened, or not yet. */
  find(topicId: number, logStreamId: number): LogStreamReplica {
    const { storageNodeId } = this.host;
    const replica = this.open.get(logStreamId);
    if (replica !== undefined && replica.topicId === topicId) return replica;
    const broken = this.broken.get(logStreamId);
    if (broken !== undefined) throw unavailable(logStreamId, storageNodeId, broken.message);
    if (this.assignments.get(logStreamId)?.topicId === topicId) {
      throw unavailable(logStreamId, storageNodeId, 'it is being opened');
    }
    throw noReplica(topicId, logStreamId, storageNodeId);
  }

  /** What is wanted of a replica, with the newest commit that was heard of. */
  assignmentOf(logStreamId: number): Assignment | undefined {
    return this.assignments.get(logStreamId);
  }

  /** Opens what is on disk from an earlier life. */
  async openKnown(name: string): Promise<void> {
    if (!/^[1-9]\d*$/.test(name)) {
      const { logger } = this.host.ports;
      logger.log('warn', 'what is no replica lies among the replicas', { name });
      return;
    }
    const logStreamId = Number(name);
    await this.changes.run(logStreamId, async () => {
      const opened = await this.openFiles(0, logStreamId);
      if (opened === undefined) return;
      if (opened.topicId !== 0) this.open.set(logStreamId, opened);
      // Nothing was ever taken over there: it is opened again when it is wanted.
      else await opened.close();
    });
  }

  /** Does what the metadata repository says. */
  obey(response: SessionResponse): void {
    this.assignments.receive(response);
    for (const assignment of response.assignments) this.take(assignment);
    if (response.complete) {
      for (const { core, logStreamId } of this.open.values()) {
        if (core.assigned) continue;
        // Whoever does not mention it may not know of it yet, or any more: no reason to part with it.
        const { logger } = this.host.ports;
        logger.log('warn', 'a replica is not assigned', { logStream: logStreamId });
      }
    }
    for (const commit of response.commits) {
      const replica = this.open.get(commit.logStreamId);
      if (replica !== undefined) commitAll(replica, [commit]);
    }
    for (const { logStreamId, id } of response.entering) {
      const replica = this.open.get(logStreamId);
      if (replica !== undefined) letIn(replica, id);
    }
    for (const { topicId, highWatermark } of response.watermarks) {
      this.assignments.moveWatermark(topicId, highWatermark);
    }
  }

  /** Trims those of a topic. Resolves when that is done. */
  async trim(topicId: number, glsn: number): Promise<void> {
    const replicas = [...this.open.ofTopic(topicId)];
    await Promise.all(
      replicas.filter((it) => it.failure === undefined).map((it) => trim(it, glsn)),
    );
  }

  /** The folder of the node is of no use any more: no replica is, and none is opened. */
  failAll(error: VarlogError): void {
    this.lost = error;
    // What is made there now would be taken for this node's folder.
    this.rebuilder.stop();
    for (const it of this.open.values()) it.fail(error);
  }

  /** This file cannot be made durable: the replica whose it is fails. */
  failAt(path: string, error: unknown): void {
    const { directory } = this;
    for (const it of this.open.values()) {
      if (path.startsWith(`${directory}/replicas/${it.logStreamId}/`)) it.fail(error);
    }
  }

  /** From here on nothing is rebuilt. */
  stopRebuilding(): void {
    this.rebuilder.stop();
  }

  async close(): Promise<void> {
    await this.changes.settled();
    await Promise.all([...this.open.values()].map((it) => it.close()));
  }

  private reportChanged(replica: LogStreamReplica): void {
    if (this.open.get(replica.logStreamId) !== replica) return;
    this.link.report(replica.logStreamId, () => replica.report);
  }

  private failureOf(logStreamId: number): VarlogError | undefined {
    return this.open.get(logStreamId)?.failure ?? this.broken.get(logStreamId);
  }

  private beginAnew(logStreamId: number): Promise<void> {
    return this.reopen(logStreamId, async () => {
      if (this.copies.has(logStreamId)) await this.trash.discard(logStreamId);
      else await this.trash.put(logStreamId, true);
      // Only now: of what could not be put aside, nothing is to be lost the next time.
      this.copies.add(logStreamId);
    });
  }

  private reopen(logStreamId: number, before?: () => Promise<void>): Promise<void> {
    this.changes.post(logStreamId, async () => {
      const wanted = this.assignments.get(logStreamId);
      if (wanted === undefined || this.failureOf(logStreamId) === undefined) return;
      const failed = this.letGo(logStreamId);
      const opening = this.beginOpening(logStreamId);
      await failed?.close().catch(() => {});
      await this.openWanted(wanted.topicId, logStreamId, opening, before);
    });
    return this.changes.settled(logStreamId);
  }

  /** What was open is not any more: it is to be closed. */
  private letGo(logStreamId: number): LogStreamReplica | undefined {
    const replica = this.open.get(logStreamId);
    this.open.delete(logStreamId);
    this.broken.delete(logStreamId);
    if (replica?.core.epoch === 0) this.copies.add(logStreamId);
    else if (replica !== undefined) this.copies.delete(logStreamId);
    return replica;
  }

  /** Opens a replica, or takes note that it cannot be: the others go on. */
  private async openFiles(
    topicId: number,
    logStreamId: number,
    before?: () => Promise<void>,
  ): Promise<LogStreamReplica | undefined> {
    try {
      if (this.lost !== undefined) throw this.lost;
      await before?.();
      await this.trash.bringBack(logStreamId);
      return await openReplica(this.host, this.directory, topicId, logStreamId);
    } catch (cause) {
      // Also a mistake in this program: thrown on, it would leave a replica that nobody hears of and nobody opens again.
      const error = asVarlogError(cause);
      this.host.ports.logger.log('error', 'a replica cannot be opened', {
        logStream: logStreamId,
        error: error.message,
      });
      this.broken.set(logStreamId, error);
      return undefined;
    }
  }

  private brokenReport(logStreamId: number): Report {
    const { epoch = 0 } = this.assignments.get(logStreamId) ?? {};
    return brokenReport(logStreamId, epoch, this.broken.get(logStreamId));
  }

  private reportBroken(logStreamId: number): void {
    this.link.report(logStreamId, () => this.brokenReport(logStreamId));
    this.rebuilder.attend(logStreamId);
  }

  private take(assignment: Assignment): void {
    const { logStreamId, topicId } = assignment;
    if (assignment.removed) {
      this.remove(logStreamId);
      return;
    }
    const replica = this.open.get(logStreamId);
    if (replica !== undefined) {
      assign(replica, assignment, this.assignments.topic(topicId));
      return;
    }
    if (this.broken.has(logStreamId)) {
      this.reportBroken(logStreamId);
      return;
    }
    if (this.opening.has(logStreamId)) return;
    const opening = this.beginOpening(logStreamId);
    this.changes.post(logStreamId, () => this.openWanted(topicId, logStreamId, opening));
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
    const opened = await this.openFiles(topicId, logStreamId, before);
    // As it is by now: what came meanwhile was not heard by a replica.
    const wanted = this.assignments.get(logStreamId);
    // Taken away again in the meantime: nobody is to hear of it, also where it could not be opened.
    if (wanted === undefined || this.opening.get(logStreamId) !== opening) {
      this.broken.delete(logStreamId);
      return opened?.close();
    }
    this.opening.delete(logStreamId);
    if (opened === undefined) return this.reportBroken(logStreamId);
    this.open.set(logStreamId, opened);
    this.link.tellSizes();
    assign(opened, wanted, this.assignments.topic(topicId));
  }

  private remove(logStreamId: number): void {
    const replica = this.letGo(logStreamId);
    this.opening.delete(logStreamId);
    this.changes.post(logStreamId, async () => {
      await replica?.close();
      await this.trash.put(logStreamId);
      this.link.confirmRemoval(logStreamId);
    });
  }
}
