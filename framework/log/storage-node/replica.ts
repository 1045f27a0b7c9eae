import { type Batch, ownBytes, type Ports, type Timer, VarlogError } from '../../base/index.ts';
import type { Assignment } from '../../wire/gen/log.ts';
import { type Commit, ReplicaCore, type Report } from '../core/index.ts';
import { CommitInbox } from './commit-inbox.ts';
import { Fetcher } from './fetcher.ts';
import { type AppendSink, PendingAppends } from './pending-appends.ts';
import type { ReplicaStorage } from './replica-storage.ts';
import { Wakeups } from './wakeups.ts';

/** Payload that waits to be ordered; more is refused until some of it is. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Commits go to the disk this long after they came, at the latest. */
const COMMIT_FLUSH_MS = 1_000;

/** What a replica needs of its storage node. */
export interface ReplicaHost {
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: number;
  /** Identities: of the cluster, of this node's folder, of this run of the process. */
  readonly cluster: string | undefined;
  readonly disk: string;
  readonly process: string;
  /** Its report differs from the last one. */
  reportChanged(replica: LogStreamReplica): void;
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
  private readonly pending = new PendingAppends();
  private readonly inbox: CommitInbox;
  private fetcher: Fetcher | undefined;
  private stepping: Promise<void> = Promise.resolve();
  private flushTimer: Timer | undefined;
  private wakeScheduled = false;
  private topicWatermark = 0;
  /** Grows when the source must be asked anew, because commits are missing that will not come otherwise. */
  private fetches = 0;
  /** The log is being begun anew: what comes meanwhile comes again. */
  private restarting = false;
  private failed = false;
  private closed = false;

  constructor(host: ReplicaHost, logStreamId: number, storage: ReplicaStorage) {
    this.host = host;
    this.logStreamId = logStreamId;
    this.topicId = storage.state.topicId;
    this.storage = storage;
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
    this.inbox = new CommitInbox(this.core, {
      applied: (commit) => this.applied(commit),
      askHistory: (version) => this.host.askHistory(logStreamId, version),
      historyForgotten: () => {
        this.fetches++;
        this.advance();
      },
    });
    records.onDurable = (end) => {
      this.core.wasWritten(end);
      this.host.reportChanged(this);
    };
  }

  get report(): Report {
    return this.core.report(this.logStreamId, this.storage.commits.persistedVersion);
  }

  /** Taken away from this node, or the node ends: whoever reads from it must stop. */
  get isClosed(): boolean {
    return this.closed;
  }

  get trimmedGlsn(): number {
    return this.storage.state.trimmedGlsn;
  }

  /**
   * Appends a batch whose framing was checked; `sink` hears what became of it. Throws, with nothing
   * stored, when this replica is not the primary or is too far behind.
   */
  append(batch: Batch, sequence: number, sink: AppendSink): void {
    if (!this.core.isPrimary) throw this.notPrimary();
    const bytes = batch.bytes.length;
    if (this.pending.bytes + bytes > PENDING_BYTES_MAX) {
      throw new VarlogError('RESOURCE_EXHAUSTED', {
        what: `${this.pending.bytes} bytes wait to be ordered in log stream ${this.logStreamId}`,
        next: 'append more slowly, or to more log streams',
        outcome: 'notAppended',
      });
    }
    const { count } = batch;
    const llsn = this.core.append(count);
    const { epoch } = this.core;
    this.storage.records.append([{ position: llsn, count, epoch, payload: ownBytes(batch.bytes) }]);
    this.pending.add({ llsn, count, bytes, sequence, sink });
    this.wakeFollowers();
  }

  /** Takes what the metadata repository wants of this replica, and sets about it. */
  assign(assignment: Assignment): void {
    this.assignment = assignment;
    const { epoch, sealed, end, version, primaryProcess } = assignment;
    const members = assignment.members.map((it) => it.storageNodeId);
    this.core.assign({ epoch, sealed, end, version, members, primaryProcess });
    this.topicWatermark = Math.max(this.topicWatermark, assignment.highWatermark);
    this.inbox.expect(version);
    this.settleWatermark();
    this.advance();
  }

  /** Commits of this log stream, in the order of their versions. */
  commitAll(commits: readonly Commit[]): void {
    if (this.failed || this.restarting) return;
    this.inbox.take(commits);
    this.settleWatermark();
  }

  watermarkMoved(highWatermark: number): void {
    this.topicWatermark = Math.max(this.topicWatermark, highWatermark);
    this.settleWatermark();
  }

  /** Records that another replica sent. False when they do not continue this log. */
  receive(llsn: number, epoch: number, batch: Batch): boolean {
    if (llsn <= this.core.end) return true;
    if (!this.core.receive(llsn, batch.count)) return false;
    const frame = { position: llsn, count: batch.count, epoch, payload: ownBytes(batch.bytes) };
    this.storage.records.append([frame]);
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
    return this.inTurn(async () => {
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
      await this.storage.save({ trimmedGlsn: Math.max(this.trimmedGlsn, firstGlsn - 1) });
    });
  }

  /** Removes records up to GLSN `glsn`, durably. */
  trim(glsn: number): Promise<void> {
    return this.inTurn(() => this.dropHead(glsn));
  }

  /** Carries out, one after the other, what the core asks for. */
  advance(): void {
    this.inTurn(() => this.takeSteps()).catch(() => {});
  }

  /** The disk cannot be trusted any more. */
  fail(error: unknown): void {
    if (this.closed || this.failed) return;
    this.failed = true;
    this.fetcher?.stop();
    this.host.ports.logger.log('error', 'replica failed', {
      logStream: this.logStreamId,
      error: String(error),
    });
    this.core.fail();
    this.roleChanged();
    this.pending.failBehind(
      0,
      new VarlogError('APPEND_UNKNOWN', {
        what: `the disk of log stream ${this.logStreamId} failed while an append was on its way`,
        because: String(error),
        outcome: 'unknown',
      }),
    );
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.flushTimer?.cancel();
    this.fetcher?.stop();
    await this.stepping;
    this.core.fail();
    this.roleChanged();
    this.pending.failBehind(
      0,
      new VarlogError('APPEND_UNKNOWN', {
        what: 'the storage node ended while an append was on its way',
        outcome: 'unknown',
      }),
    );
    await this.storage.close();
  }

  notPrimary(): VarlogError {
    const primary = this.assignment?.members[0];
    const { logStreamId } = this;
    const restarts = primary?.storageNodeId === this.host.storageNodeId;
    if (this.assignment?.sealed !== false || primary === undefined || restarts) {
      return new VarlogError('SEALED', {
        what: `sealed: log stream ${logStreamId} takes no appends until it is opened again`,
        next: 'try again soon, or append to another log stream',
        details: { logStreamId },
        outcome: 'notAppended',
      });
    }
    return new VarlogError('NOT_PRIMARY', {
      what: `not primary replica: log stream ${logStreamId} takes appends at ${primary.address}`,
      next: 'append there',
      details: { logStreamId, primary: primary.address },
      outcome: 'notAppended',
    });
  }

  private applied(commit: Commit): void {
    this.storage.commits.append(commit);
    this.flushCommitsLater();
    const end = commit.llsn + commit.count - 1;
    this.pending.committed(commit.llsn, commit.glsn, end);
    this.committed.wake();
    if (this.assignment?.sealed === true) this.advance();
  }

  /** No record at or below the watermark may come after it was told to a reader. */
  private settleWatermark(): void {
    if (!this.inbox.isComplete) return;
    if (this.topicWatermark <= this.watermark) return;
    this.watermark = this.topicWatermark;
    this.committed.wake();
  }

  /** What changes files happens one after the other; what goes wrong with it is the disk's fault. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.stepping.then(work);
    this.stepping = done.catch((error: unknown) => this.fail(error));
    return done;
  }

  private async takeSteps(): Promise<void> {
    for (;;) {
      if (this.closed) return;
      const step = this.core.next();
      this.followSources(step.kind);
      if (this.assignment?.sealed === true) this.refuseBehind(this.assignment.end);
      if (step.kind === 'cut') {
        const cut = this.storage.records.truncateTail(step.end);
        // In the same breath: a commit that comes meanwhile must not find what is being cut off.
        this.core.wasCut(step.end);
        this.inbox.clear();
        this.forgetBehind(step.end);
        await cut;
      } else if (step.kind === 'adopt') {
        await this.storage.commits.flush();
        await this.storage.save({ epoch: step.epoch, sealed: step.sealed });
        this.core.hasAdopted(step.epoch, step.sealed);
        this.roleChanged();
      } else {
        break;
      }
    }
    const trimmed = this.assignment?.trimmedGlsn ?? 0;
    await this.dropHead(trimmed);
    this.host.reportChanged(this);
  }

  /** Starts, keeps or ends the fetching that the core wants. */
  private followSources(kind: ReturnType<ReplicaCore['next']>['kind']): void {
    const { assignment } = this;
    if (assignment === undefined || (kind !== 'followPrimary' && kind !== 'fetchCommitted')) {
      this.fetcher?.stop();
      this.fetcher = undefined;
      return;
    }
    const uncommitted = kind === 'followPrimary';
    const peers = [...assignment.members, ...assignment.learners].filter(
      (it) => it.storageNodeId !== this.host.storageNodeId,
    );
    const sources = (uncommitted ? peers.slice(0, 1) : peers).map((it) => it.address);
    const { epoch, sealed } = assignment;
    const purpose = `${kind} ${epoch} ${sealed} ${sources} ${this.fetches}`;
    if (this.fetcher?.purpose === purpose) return;
    this.fetcher?.stop();
    this.fetcher = new Fetcher(this, this.host, { purpose, sources, uncommitted });
  }

  private refuseBehind(end: number): void {
    this.pending.failBehind(
      end,
      new VarlogError('SEALED', {
        what: `sealed: log stream ${this.logStreamId} was sealed before this append was ordered`,
        next: 'append again',
        details: { logStreamId: this.logStreamId },
        outcome: 'notAppended',
      }),
    );
  }

  /** Another replica's records take the place of these, or the same ones again: not known here. */
  private forgetBehind(end: number): void {
    this.pending.failBehind(
      end,
      new VarlogError('APPEND_UNKNOWN', {
        what: `log stream ${this.logStreamId} went on without this replica while an append was on its way`,
        next: 'read the log to see whether it is there',
        outcome: 'unknown',
      }),
    );
  }

  private async dropHead(glsn: number): Promise<void> {
    if (glsn <= this.trimmedGlsn || this.closed) return;
    await this.storage.save({ trimmedGlsn: glsn });
    const { commits, records } = this.storage;
    // Taken before the search: what is committed during it may lie above.
    const { committedEnd, version } = this.core;
    const commit = await commits.findByGlsn(glsn + 1);
    const first =
      commit === undefined ? committedEnd + 1 : commit.llsn + Math.max(0, glsn + 1 - commit.glsn);
    await records.trimHead(Math.max(records.first, Math.min(first, committedEnd + 1)));
    await commits.trim(commit?.version ?? version);
    this.committed.wake();
  }

  private roleChanged(): void {
    this.committed.wake();
    this.appended.wake();
    this.host.reportChanged(this);
  }

  /** Backups are sent this turn's records together. */
  private wakeFollowers(): void {
    if (this.wakeScheduled) return;
    this.wakeScheduled = true;
    this.host.ports.clock.defer(() => {
      this.wakeScheduled = false;
      this.appended.wake();
    });
  }

  private flushCommitsLater(): void {
    if (this.flushTimer !== undefined || this.closed) return;
    this.flushTimer = this.host.ports.clock.after(COMMIT_FLUSH_MS, () => {
      this.flushTimer = undefined;
      this.flushCommits().then(
        () => this.host.reportChanged(this),
        (error: unknown) => {
          // Cut off while it was waited for: there is nothing to flush then.
          if (!VarlogError.is(error, 'CANCELLED')) this.fail(error);
        },
      );
    });
  }

  /** Behind their records: a commit that is on disk without them would count as known, and be lost. */
  private async flushCommits(): Promise<void> {
    await this.storage.records.flushed(this.core.committedEnd);
    await this.storage.commits.flush();
  }
}
