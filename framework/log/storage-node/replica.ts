import {
  asVarlogError,
  type Batch,
  OncePerTurn,
  ownBytes,
  type Ports,
  SerialQueue,
  type Timer,
  VarlogError,
  Wakeups,
} from '../../base/index.ts';
import type { Assignment, Peer } from '../../wire/gen/log.ts';
import { type Commit, ReplicaCore, type Report } from '../core/index.ts';
import { CommitFlush } from './commit-flush.ts';
import { CommitInbox } from './commit-inbox.ts';
import { Following } from './following.ts';
import { Head } from './head.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { type AppendSink, PendingAppends } from './pending-appends.ts';
import {
  appendUnknown,
  notPrimary,
  sealedBefore,
  takenAway,
  tooMuchWaits,
  unavailable,
} from './refusals.ts';
import type { ReplicaStorage } from './replica-storage.ts';

/** What found no room on the disk is tried again after so long. */
const FULL_RETRY_MS = 1_000;

/** What a replica needs of its storage node. */
export interface ReplicaHost {
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: number;
  /** Identities: of the cluster, of this node's folder, of this run of the process. */
  readonly cluster: string | undefined;
  readonly disk: string;
  readonly process: string;
  readonly memory: MemoryBudget;
  /** Its report differs from the last one. */
  reportChanged(replica: LogStreamReplica): void;
  /** It serves nothing any more. */
  replicaFailed(replica: LogStreamReplica): void;
  /** It misses commits from `version` on. */
  askHistory(logStreamId: number, version: number): void;
}

/** One replica of a log stream on this storage node: does what its {@link ReplicaCore} decides. */
export class LogStreamReplica {
  readonly logStreamId: number;
  readonly topicId: number;
  readonly core: ReplicaCore;
  readonly storage: ReplicaStorage;
  /** Woken when records were committed, and when the role changed. */
  readonly committed = new Wakeups();
  /** Woken when records were appended, and when the role changed. */
  readonly appended = new Wakeups();
  /** The topic's high watermark that this replica can vouch for: see ReadResponse. */
  watermark = 0;
  assignment: Assignment | undefined;
  private readonly host: ReplicaHost;
  private readonly pending: PendingAppends;
  private readonly inbox: CommitInbox;
  private readonly following: Following;
  /** What changes files happens one after the other; what goes wrong with it is the disk's fault. */
  private readonly turns = new SerialQueue((error) => this.fail(error));
  private readonly flush: CommitFlush;
  private readonly head: Head;
  private retryTimer: Timer | undefined;
  /** Backups are sent a turn's records together. */
  private readonly wakeFollowers: OncePerTurn;
  private topicWatermark = 0;
  /** The log is being begun anew: what comes meanwhile comes again. */
  private restarting = false;
  private failed: VarlogError | undefined;
  private closed = false;

  constructor(host: ReplicaHost, logStreamId: number, storage: ReplicaStorage) {
    this.host = host;
    this.logStreamId = logStreamId;
    this.topicId = storage.state.topicId;
    this.storage = storage;
    this.pending = new PendingAppends(host.memory);
    const { records, commits, state } = storage;
    const last = commits.last;
    const self = { node: host.storageNodeId, process: host.process };
    this.core = new ReplicaCore(self, {
      epoch: state.epoch,
      sealed: state.sealed,
      end: records.end,
      // What was trimmed was committed.
      committedEnd: Math.max(records.first, last === undefined ? 1 : last.llsn + last.count) - 1,
      version: commits.version,
    });
    this.wakeFollowers = new OncePerTurn(host.ports.clock, () => this.appended.wake());
    this.following = new Following(this, host);
    this.head = new Head(this.core, storage, (change) => this.savedOrFull(change));
    this.flush = new CommitFlush(host.ports.clock, this.core, storage, {
      flushed: () => host.reportChanged(this),
      failed: (error) => this.fail(error),
    });
    this.inbox = new CommitInbox(this.core, {
      applied: (commit) => this.applied(commit),
      askHistory: (version) => this.host.askHistory(logStreamId, version),
      askReplica: () => {
        // The first of its epoch follows nobody.
        const isFirst = this.assignment?.members[0]?.storageNodeId === host.storageNodeId;
        if (this.peers.length === 0 || isFirst) return false;
        this.following.again();
        this.advance();
        return true;
      },
    });
    records.onDurable = (end) => {
      if (this.failed !== undefined) return;
      this.core.wasWritten(end);
      this.host.reportChanged(this);
    };
  }

  get report(): Report {
    return this.core.report(this.logStreamId, this.storage.commits.persistedVersion);
  }

  get trimmedGlsn(): number {
    return this.head.trimmedGlsn;
  }

  /**
   * Appends a batch whose framing was checked; `sink` hears what became of it. Throws, with nothing
   * stored, when this replica is not the primary or is too far behind.
   */
  append(batch: Batch, sequence: number, sink: AppendSink): void {
    this.assertServes();
    if (!this.core.isPrimary) {
      throw notPrimary(this.logStreamId, this.host.storageNodeId, this.assignment);
    }
    if (this.storage.full !== undefined) throw this.storage.full;
    const bytes = batch.bytes.length;
    if (!this.host.memory.hasRoomFor(bytes, this.pending.bytes)) {
      throw tooMuchWaits(this.logStreamId, this.host.memory.pendingBytes);
    }
    const { count } = batch;
    const llsn = this.core.append(count);
    const { epoch } = this.core;
    const timestamp = this.storage.time.next();
    const payload = ownBytes(batch.bytes);
    this.storage.records.append([{ position: llsn, count, epoch, timestamp, payload }]);
    this.pending.add({ llsn, count, bytes, sequence, sink });
    this.wakeFollowers.schedule();
  }

  /** Takes what the metadata repository wants of this replica, and sets about it. */
  assign(assignment: Assignment): void {
    const { epoch, sealed, end, version, primaryProcess } = assignment;
    const members = assignment.members.map((it) => it.storageNodeId);
    const wanted = { epoch, sealed, end, version, members, primaryProcess };
    if (this.core.assign(wanted)) this.assignment = assignment;
    // What an older one says of commits stays true.
    this.topicWatermark = Math.max(this.topicWatermark, assignment.highWatermark);
    this.inbox.expect(version);
    this.settleWatermark();
    this.advance();
  }

  /** Commits of this log stream, in the order of their versions. */
  commitAll(commits: readonly Commit[]): void {
    // Whatever becomes of them here, they exist: the watermark waits for them.
    const newest = commits.at(-1);
    if (newest !== undefined) this.inbox.hear(newest.version);
    if (this.failed !== undefined || this.restarting) return;
    this.inbox.take(commits);
    this.settleWatermark();
  }

  watermarkMoved(highWatermark: number): void {
    this.topicWatermark = Math.max(this.topicWatermark, highWatermark);
    this.settleWatermark();
  }

  /** Records that another replica sent. False when they do not continue this log. */
  receive(llsn: number, epoch: number, timestamp: number, { count, bytes }: Batch): boolean {
    if (llsn <= this.core.end) return true;
    if (!this.core.receive(llsn, count)) return false;
    this.storage.time.note(timestamp);
    const payload = ownBytes(bytes);
    this.storage.records.append([{ position: llsn, count, epoch, timestamp, payload }]);
    this.appended.wake();
    return true;
  }

  /** Takes commits whose records have come in the meantime. */
  retryCommits(): void {
    this.inbox.retry();
    this.settleWatermark();
  }

  /**
   * A source has nothing before LLSN `first` any more, and no commit before `commit`: begins anew
   * there. Records of its own behind that stay: they may be all that makes a majority.
   */
  restartAt(
    first: number,
    commit: Commit | undefined,
    firstGlsn: number,
    signal: AbortSignal,
  ): Promise<void> {
    return this.turns.run(async () => {
      if (signal.aborted) return;
      const { records, commits } = this.storage;
      const version = commit?.version ?? 1;
      const begin = Math.max(first, records.first);
      const keeps = begin - 1 <= records.end;
      this.restarting = true;
      // In this order: between the two, a crash leaves a log that asks again.
      await (keeps ? records.trimHead(begin) : records.reset(begin));
      await commits.reset(version);
      this.core.restartAt(keeps ? records.end : begin - 1, begin - 1, version - 1);
      if (keeps) this.core.wasWritten(records.durableEnd);
      this.restarting = false;
      this.inbox.expect(0);
      await this.dropHead(Math.max(this.trimmedGlsn, firstGlsn - 1));
    });
  }

  /** Removes records up to GLSN `glsn`, durably. */
  trim(glsn: number): Promise<void> {
    return this.turns.run(() => this.dropHead(glsn));
  }

  /** Carries out, one after the other, what the core asks for. */
  advance(): void {
    this.turns.post(() => this.takeSteps());
  }

  /** Why it serves nothing any more; `undefined` while it does. */
  get failure(): VarlogError | undefined {
    return this.failed;
  }

  /**
   * Throws when nothing may be read from this replica and nothing appended to it: it failed, is to be
   * rebuilt and cannot be, or was taken away. What it vouched for before stands.
   */
  assertServes(): void {
    if (this.closed) throw takenAway(this.logStreamId);
    const { state } = this.core;
    if (this.failed === undefined && state !== 'damaged') return;
    const why = this.failed?.message ?? 'it lacks records that it had before';
    throw unavailable(this.logStreamId, this.host.storageNodeId, why);
  }

  /**
   * Passes on what was read from the disk. What cannot be read is lost here: with other replicas to
   * read from, this one fails, to be rebuilt; without, it goes on with what it can read.
   */
  async reading<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      const lost = VarlogError.is(error, 'CORRUPT') || VarlogError.is(error, 'DISK_FAILED');
      if (lost && this.peers.length > 0) this.fail(error);
      throw error;
    }
  }

  /** Where the other replicas of the log stream are. */
  get peers(): Peer[] {
    const { members = [], learners = [] } = this.assignment ?? {};
    return [...members, ...learners].filter((it) => it.storageNodeId !== this.host.storageNodeId);
  }

  /** The disk cannot be trusted any more: a write failed, or what was durable is damaged. Final. */
  fail(error: unknown): void {
    if (this.closed || this.failed !== undefined) return;
    this.failed = asVarlogError(error);
    this.following.stop();
    this.flush.stop();
    this.host.ports.logger.log('error', 'a replica failed and serves nothing any more', {
      logStream: this.logStreamId,
      error: this.failed.message,
    });
    this.core.fail(this.failed.code === 'CORRUPT' ? 'damaged' : 'failed');
    this.roleChanged();
    const what = `the disk of log stream ${this.logStreamId} failed`;
    this.pending.failBehind(0, appendUnknown(what, this.failed.message));
    this.host.replicaFailed(this);
  }

  /** The disk has no room, or has some again: what waited for it goes on. */
  noteFull(error: VarlogError | undefined): void {
    const facts = { logStream: this.logStreamId };
    const { logger } = this.host.ports;
    if (error === undefined) logger.log('info', 'the disk has room again', facts);
    else
      logger.log('error', 'the disk is full: appends are refused', {
        ...facts,
        error: error.message,
      });
    if (error === undefined) this.advance();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.flush.stop();
    this.retryTimer?.cancel();
    this.following.stop();
    await this.turns.settled();
    this.core.fail('failed');
    this.roleChanged();
    this.pending.failBehind(0, appendUnknown('the storage node ended'));
    await this.storage.close();
  }

  private applied(commit: Commit): void {
    this.storage.commits.append(commit);
    if (!this.closed) this.flush.later();
    const end = commit.llsn + commit.count - 1;
    this.pending.committed(commit.llsn, commit.glsn, end);
    this.committed.wake();
    if (this.assignment?.sealed === true) this.advance();
  }

  /** No record at or below the watermark may come after it was told to a reader. */
  private settleWatermark(): void {
    if (this.failed !== undefined || !this.inbox.isComplete) return;
    if (this.topicWatermark <= this.watermark) return;
    this.watermark = this.topicWatermark;
    this.committed.wake();
    if (this.head.isDue(this.watermark)) this.advance();
  }

  private async takeSteps(): Promise<void> {
    for (;;) {
      if (this.closed) return;
      const step = this.core.next();
      this.following.follow(step.kind);
      if (this.assignment?.sealed === true) {
        this.pending.failBehind(this.assignment.end, sealedBefore(this.logStreamId));
      }
      if (step.kind === 'cut') {
        const cut = this.storage.records.truncateTail(step.end);
        // In the same breath: a commit that comes meanwhile must not find what is being cut off.
        this.core.wasCut(step.end);
        this.inbox.clear();
        // Other records take the place of these, or the same ones again: that is not known here.
        const what = `log stream ${this.logStreamId} went on without this replica`;
        this.pending.failBehind(step.end, appendUnknown(what));
        await cut;
      } else if (step.kind === 'adopt') {
        if (!(await this.adopted(step))) break;
        this.core.hasAdopted(step.epoch, step.sealed);
        this.roleChanged();
      } else {
        break;
      }
    }
    // Also what an earlier life of this process had noted and not come to.
    await this.dropHead(Math.max(this.assignment?.trimmedGlsn ?? 0, this.trimmedGlsn));
    this.host.reportChanged(this);
  }

  /** Takes over an epoch durably. False: there is no room for that now. */
  private async adopted({ epoch, sealed }: { epoch: number; sealed: boolean }): Promise<boolean> {
    return (await this.storage.flushCommits()) && this.savedOrFull({ epoch, sealed });
  }

  /** Tries again later, where there is no room now: what is done meanwhile may make some. */
  private async savedOrFull(change: Parameters<ReplicaStorage['save']>[0]): Promise<boolean> {
    try {
      await this.storage.save(change);
      return true;
    } catch (error) {
      if (!VarlogError.is(error, 'DISK_FULL')) throw error;
      this.retryTimer?.cancel();
      this.retryTimer = this.host.ports.clock.after(FULL_RETRY_MS, () => this.advance());
      return false;
    }
  }

  private async dropHead(glsn: number): Promise<void> {
    if (this.closed) return;
    await this.head.drop(glsn, this.watermark);
    this.committed.wake();
  }

  private roleChanged(): void {
    this.committed.wake();
    this.appended.wake();
    this.host.reportChanged(this);
  }
}
