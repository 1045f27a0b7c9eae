import type { ReplicaCore } from '../core/index.ts';
import type { TimedCommit } from './append-stations.ts';

/** Commits whose records are not here yet; beyond that they are asked for again. */
const WAITING_MAX = 4_096;
/** Whoever lacks more commits than this gets them with its records, from another replica. */
const ASKED_MAX = 1_024;
/** So often in a row commits are missing before they are taken from another replica instead. */
const GAPS_MAX = 8;
/** As long as they come from there, so many news that do not fit mean nothing. */
const GAPS_MAX_FETCHING = 256;

/** What the inbox of a replica needs done. */
export interface CommitInboxHost {
  /** The core has taken a commit. */
  applied(commit: TimedCommit): void;
  /** Commits from `version` on are missing: the metadata repository has them. */
  requestHistory(version: number): void;
  /** Takes them from another replica: they are many, or the repository has forgotten them. False: there is none. */
  fetchFromReplica(): boolean;
}

/**
 * The commits that come to one replica: puts them to its core in the order of their versions, keeps
 * those whose records are still on their way, and sees to those that are missing.
 */
export class CommitInbox {
  private readonly core: ReplicaCore;
  private readonly host: CommitInboxHost;
  private waiting: TimedCommit[] = [];
  /** The newest commit that is known to exist. */
  private knownVersion = 0;
  private asked = false;
  /** Another replica was asked for what is missing, and sends it in pieces. */
  private fetching = false;
  private gaps = 0;

  constructor(core: ReplicaCore, host: CommitInboxHost) {
    this.core = core;
    this.host = host;
  }

  /** Whether every commit that is known to exist has been applied. */
  get isComplete(): boolean {
    return this.core.version >= this.knownVersion;
  }

  /** Commits up to `version` exist, wherever they are now: it is not complete without them. */
  observe(version: number): void {
    this.knownVersion = Math.max(this.knownVersion, version);
  }

  /** A new link, or a new assignment: commits up to `version` exist, and were not told of. */
  expect(version: number): void {
    this.observe(version);
    this.asked = false;
    this.fetching = false;
    if (this.lacksSome) this.requestMissing();
  }

  /** Takes commits of this log stream, in the order of their versions. */
  take(commits: readonly TimedCommit[]): void {
    const before = this.core.version;
    for (const commit of commits) this.takeOne(commit);
    const isForward = this.core.version > before;
    if (isForward || !this.lacksSome) this.gaps = 0;
    if (!this.lacksSome) {
      this.fetching = false;
      return;
    }
    if (isForward) {
      // The rest of it is on its way; to ask again would begin it again.
      if (this.fetching && this.lacking > ASKED_MAX) return;
      this.fetching = false;
      this.asked = false;
    }
    this.requestMissing();
    // While records are missing too, the commits could not be applied anyway.
    if (isForward || this.waiting.length > 0) return;
    this.gaps++;
    if (this.gaps < (this.fetching ? GAPS_MAX_FETCHING : GAPS_MAX)) return;
    this.gaps = 0;
    this.fetching = this.host.fetchFromReplica();
  }

  /** Puts those to the core whose records have come. */
  retry(): void {
    const [first] = this.waiting;
    if (first === undefined || first.llsn + first.count - 1 > this.core.end) return;
    const { waiting } = this;
    this.waiting = [];
    this.take(waiting);
  }

  /** The records that the waiting ones were for were cut off. */
  clear(): void {
    this.waiting = [];
    this.asked = false;
    this.fetching = false;
  }

  /** Whether there are commits that are neither applied nor here. */
  private get lacksSome(): boolean {
    return this.lacking > 0;
  }

  private get lacking(): number {
    return this.knownVersion - this.core.version - this.waiting.length;
  }

  private takeOne(commit: TimedCommit): void {
    this.knownVersion = Math.max(this.knownVersion, commit.version);
    const outcome = this.core.commit(commit);
    if (outcome === 'applied') {
      this.host.applied(commit);
      return;
    }
    const last = this.waiting.at(-1);
    const follows = last !== undefined && commit.version === last.version + 1;
    const isNext = outcome === 'waiting' && last === undefined;
    if (isNext || (follows && this.waiting.length < WAITING_MAX)) this.waiting.push(commit);
  }

  private requestMissing(): void {
    if (this.asked) return;
    this.asked = true;
    if (this.lacking > ASKED_MAX) {
      this.fetching = this.host.fetchFromReplica();
      if (this.fetching) return;
    }
    this.host.requestHistory((this.waiting.at(-1)?.version ?? this.core.version) + 1);
  }
}
