import {
  asVarlogError,
  type Lanes,
  OncePerTurn,
  type Ports,
  SerialQueue,
  type Timer,
  type TurnBudget,
  VarlogError,
  Wakeups,
} from '../../base/index.ts';
import type { Assignment, Peer } from '../../wire/gen/log.ts';
import type { ChannelPool } from '../channel-pool.ts';
import {
  type ConditionSubject,
  type ProducerLimits,
  ReplicaCore,
  type Report,
} from '../core/index.ts';
import type { StorageHistograms, TimedCommit } from './append-stations.ts';
import { CommitFlush } from './commit-flush.ts';
import { CommitInbox } from './commit-inbox.ts';
import { CommitsAhead } from './commits-ahead.ts';
import { LocalRecords } from './local-records.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { ParkedParts } from './parked-parts.ts';
import { PendingAppends } from './pending-appends.ts';
import type { RecordSource } from './record-source.ts';
import { appendUnknown, partsMissing, unavailable } from './replica-errors.ts';
import { committedEndOf, type ReplicaStorage } from './replica-storage.ts';
import { TopicWatermark, type WatermarkFollower } from './watermark.ts';

/** The storage node that a replica is on. */
export interface ReplicaNode {
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: number;
  /** Identities: of the cluster, of this node's folder, of this run of the process. */
  readonly cluster: string | undefined;
  readonly disk: string;
  readonly process: string;
  readonly memory: MemoryBudget;
  readonly producerLimits: ProducerLimits;
  /** Of the files of a replica's records. */
  readonly segmentBytes: number;
  /**
   * What is read from the disk for readers, of all log streams. One after the other: what many of them read at once, and
   * what is made of it, would otherwise hold up all else that the process does.
   */
  readonly diskReads: SerialQueue;
  /** Commits of all log streams are made durable here, a few log streams at a time. */
  readonly commitFlushes: Lanes<number>;
  /** For what readers and replicas are sent, and what is fetched, of all log streams: see {@link transferCost}. */
  readonly transfers: TurnBudget;
  readonly fetchChannels: ChannelPool;
  /** How long appends are at the stations that are here. */
  readonly stations: StorageHistograms;
}

/** What is sent and fetched in one turn at most, as {@link transferCost} counts: some milliseconds of work. */
export const TRANSFERS_PER_TURN = 1_024;
const BYTES_PER_COST = 4_096;
/** To seal a replica, or to have it follow another one, costs as much of a turn as so many batches. */
const STEPS_COST = 64;

/** What it takes to send these batches, or to store them: one for each, and as much again for each 4 KiB. */
export function transferCost(batches: readonly Uint8Array[]): number {
  const bytes = batches.reduce((sum, it) => sum + it.length, 0);
  return batches.length + bytes / BYTES_PER_COST;
}

/** What a replica needs of those who keep it. These calls MUST NOT throw. */
export interface ReplicaHost extends ReplicaNode {
  /** How long messages between the node and the leader of the metadata repository are on the way, there and back. */
  readonly repositoryWireMs: number;
  /** Its report differs from the last one. The node MUST tell the newest one, and MAY leave out those between. */
  reportChanged(replica: LogStreamReplica): void;
  /** It serves nothing any more. */
  replicaFailed(replica: LogStreamReplica): void;
  /** It misses commits from `version` on. That MAY come to nothing: it asks again. */
  requestHistory(logStreamId: number, version: number): void;
}

/** The operations that a replica itself calls for; all others are called by those who want them done. */
export interface ReplicaOperations {
  /** Carries out what the core asks for, until it asks for nothing more. */
  takeSteps(replica: LogStreamReplica): Promise<void>;
  /** The core has taken a commit. */
  applied(replica: LogStreamReplica, commit: TimedCommit): void;
  /** Gets missing commits from another replica. False: there is none. */
  fetchFromReplica(replica: LogStreamReplica): boolean;
}

/**
 * One replica of a log stream on this storage node: what its operations share. Each of these is a function in a file
 * of its own (`append`, `receive`, `restartAt`, `assign`, `takeSteps`, `commitAll`, `trim`, `assertServes`, …), and says
 * there what it does. What is decided is decided by the {@link ReplicaCore}.
 */
export class LogStreamReplica implements WatermarkFollower {
  readonly host: ReplicaHost;
  readonly logStreamId: number;
  readonly topicId: number;
  readonly core: ReplicaCore;
  readonly storage: ReplicaStorage;
  /** What readers read from. */
  readonly source: RecordSource;
  /** Appends of this primary that wait to be ordered. */
  readonly pending: PendingAppends;
  /** Parts of atomic appends that this primary has taken, and that are not in its log yet. */
  readonly parked: ParkedParts;
  readonly inbox: CommitInbox;
  readonly flush: CommitFlush;
  /** What changes files happens one after the other; what goes wrong with it is the disk's fault. */
  readonly turns = new SerialQueue((error) => this.fail(error));
  /** Woken when records were committed here or trimmed, and when the role changed. */
  readonly committed = new Wakeups();
  /** Woken with `committed`, and when the watermark moved: which it does with each record of any log stream. */
  readonly progressed = new Wakeups(() => this.topicWatermark.attend(this));
  /** Woken when records were appended, and when the role changed. */
  readonly appended = new Wakeups();
  /** Wakes `appended` at the end of the turn: backups are sent a turn's records together. */
  readonly wakeFollowers: OncePerTurn;
  /** What the metadata repository wants of it. Only `assign` writes it. */
  assignment: Assignment | undefined;
  private vouched = 0;
  /** The topic's high watermark that came with an assignment. Never falls. */
  assignedWatermark = 0;
  /** The topic's high watermark as far as this node was told; one that never moves until the first assignment. */
  topicWatermark = new TopicWatermark();
  /** The fencing token by which it refuses appends that carry another one; 0: none. Never falls: tokens of a log stream do not. */
  fence = 0;
  /** Only `follow` writes it, and `fail` and `close` stop the fetching. */
  readonly following: {
    fetching: { readonly purpose: string; stop(): void } | undefined;
    /** Grows when the source must be asked anew, because commits are missing that will not come otherwise. */
    round: number;
    /** Where the catching up began that is going on. */
    catchingUpFrom: number | undefined;
  } = { fetching: undefined, round: 0, catchingUpFrom: undefined };
  /** Only `trim.ts` writes it. */
  readonly head: {
    /** Records up to this GLSN are not to be read any more: at least what the durable state says. */
    trimmed: number;
    /** Records up to this GLSN are off the disk. An earlier life may not have come to what it had noted. */
    dropped: number;
  };
  /** GLSNs of records with which parts of the log begin, by LLSN: once committed they stay. Only `serveUsage` writes it. */
  readonly partBegins = new Map<number, number>();
  /** The log is being begun anew: what comes meanwhile comes again. Only `restartAt` writes it. */
  restarting = false;
  /** What is waited for when the disk is full. */
  retryTimer: Timer | undefined;
  /** Woken when the disk has no room any more. */
  readonly becameFull = new Wakeups();
  /** Why it serves nothing any more; `undefined` while it does. Final. */
  failure: VarlogError | undefined;
  /** It was taken away, or the node ends. */
  closed = false;
  private readonly operations: ReplicaOperations;

  constructor(
    host: ReplicaHost,
    logStreamId: number,
    storage: ReplicaStorage,
    operations: ReplicaOperations,
  ) {
    this.host = host;
    this.logStreamId = logStreamId;
    this.topicId = storage.state.topicId;
    this.storage = storage;
    this.operations = operations;
    this.source = new LocalRecords(storage.records, (read) => this.reading(read));
    this.pending = new PendingAppends(host.memory);
    this.parked = new ParkedParts(host.memory, {
      clock: host.ports.clock,
      refusal: () => partsMissing(logStreamId),
      expired: () => host.reportChanged(this),
    });
    const { records, commits, state } = storage;
    this.head = { trimmed: state.trimmedGlsn, dropped: 0 };
    const self = { node: host.storageNodeId, process: host.process };
    this.core = new ReplicaCore(self, {
      epoch: state.epoch,
      sealed: state.sealed,
      end: records.end,
      committedEnd: committedEndOf(records, commits),
      version: commits.version,
    });
    this.wakeFollowers = new OncePerTurn(host.ports.clock, () => this.appended.wake());
    this.flush = new CommitFlush(host.ports.clock, this.core, storage, {
      lanes: host.commitFlushes,
      flushed: () => host.reportChanged(this),
      failed: (error) => this.fail(error),
    });
    this.inbox = new CommitInbox(this.core, {
      applied: (commit) => operations.applied(this, commit),
      requestHistory: (version) => host.requestHistory(logStreamId, version),
      fetchFromReplica: () => operations.fetchFromReplica(this),
    });
    records.onDurable((end, begunAt) => {
      if (this.failure !== undefined) return;
      this.core.wasWritten(end);
      this.pending.written({ end, begunAt, doneAt: host.ports.clock.now() });
      host.reportChanged(this);
    });
  }

  /**
   * The topic's high watermark that this replica can vouch for: see ReadResponse. Never above what it was told, never
   * falls, and moves only while every commit that is known of has been applied.
   */
  get watermark(): number {
    this.settleWatermark();
    return this.vouched;
  }

  /**
   * No record at or below the watermark MAY come after it was told to a reader. To be called when what keeps it from being
   * vouched for may have changed.
   */
  settleWatermark(): void {
    if (this.failure !== undefined || !this.inbox.isComplete) return;
    const known = Math.max(this.assignedWatermark, this.topicWatermark.value);
    if (known <= this.vouched) return;
    this.vouched = known;
    this.progressed.wake();
    // What was trimmed before it came is dropped now.
    if (this.head.dropped < Math.min(this.head.trimmed, known)) this.advance();
  }

  /** For a reader, or to drop what was trimmed before it came. */
  get awaitsWatermark(): boolean {
    if (this.failure !== undefined || this.closed) return false;
    return this.progressed.isAwaited || this.head.dropped < this.head.trimmed;
  }

  /** What conditions of appends are about, on a primary. */
  get conditionSubject(): ConditionSubject {
    const { logStreamId, fence } = this;
    return { logStreamId, end: this.core.end, keys: this.storage.producers.keys, fence };
  }

  get report(): Report {
    const report = this.core.report(this.logStreamId, this.storage.commits.persistedVersion);
    const waiting = this.storage.parts.all;
    if (waiting.length + this.parked.size === 0) return report;
    return { ...report, waiting, parked: this.parked.all };
  }

  /** Where the other replicas of the log stream are. */
  get peers(): Peer[] {
    const { members = [], learners = [] } = this.assignment ?? {};
    return [...members, ...learners].filter((it) => it.storageNodeId !== this.host.storageNodeId);
  }

  /** Has the core's wishes carried out, after what changes files already, and in its turn among all log streams. */
  advance(): void {
    this.turns.post(async () => {
      const turn = this.host.transfers.take(STEPS_COST);
      if (turn !== undefined) await turn;
      await this.operations.takeSteps(this);
    });
  }

  /** There is something to read, or less than before. */
  wakeReaders(): void {
    this.committed.wake();
    this.progressed.wake();
  }

  /** Those who wait are to look again what this replica is now. */
  roleChanged(): void {
    this.wakeReaders();
    this.appended.wake();
    this.host.reportChanged(this);
  }

  /** The disk cannot be trusted any more: a write failed, or what was durable is damaged. Final. */
  fail(error: unknown): void {
    if (this.closed || this.failure !== undefined) return;
    this.failure = asVarlogError(error);
    this.following.fetching?.stop();
    this.flush.stop();
    this.host.ports.logger.log('error', 'a replica failed and serves nothing any more', {
      logStream: this.logStreamId,
      error: this.failure.message,
    });
    this.core.fail(this.failure.code === 'CORRUPT' ? 'damaged' : 'failed');
    this.roleChanged();
    const what = `the disk of log stream ${this.logStreamId} failed`;
    this.pending.failBehind(0, appendUnknown(what, this.failure.message));
    this.refuseParked(what);
    this.host.replicaFailed(this);
  }

  /**
   * Reads from the disk when the turn comes for it. What cannot be read is lost here: with other replicas to read from,
   * this one fails, to be rebuilt; without, it goes on with what it can read.
   */
  async reading<T>(read: () => T | Promise<T>): Promise<T> {
    try {
      return await this.host.diskReads.run(read);
    } catch (error) {
      const lost = VarlogError.is(error, 'CORRUPT') || VarlogError.is(error, 'DISK_FAILED');
      if (lost && this.peers.length > 0) this.fail(error);
      throw error;
    }
  }

  /** For one reader. */
  commitsAhead(): CommitsAhead {
    return new CommitsAhead(this.storage.commits, (read) => this.reading(read));
  }

  private refuseParked(why: string): void {
    this.parked.failAll(unavailable(this.logStreamId, this.host.storageNodeId, why));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.flush.stop();
    this.following.fetching?.stop();
    const settled = this.turns.settled();
    // What waits for room on the disk is not waited for: it ends with the files.
    if (this.storage.full === undefined) await Promise.race([settled, this.becameFull.wait()]);
    this.core.fail('failed');
    this.roleChanged();
    this.pending.failBehind(0, appendUnknown('the storage node ended'));
    this.refuseParked('the storage node ended');
    await this.storage.close();
    await settled;
    this.retryTimer?.cancel();
  }
}
