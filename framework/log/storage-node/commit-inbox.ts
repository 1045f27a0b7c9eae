import type { Commit, ReplicaCore } from '../core/index.ts';

/** Commits whose records are not here yet; beyond that they are asked for again. */
const WAITING_MAX = 4_096;
/** Whoever lacks more commits than this gets them with its records, from another replica. */
const ASKED_MAX = 1_024;
/** So often in a row commits are missing before they are taken from another replica instead. */
const GAPS_MAX = 8;

/** What the inbox of a replica needs done. */
export interface CommitInboxHost {
  /** The core has taken a commit. */
  applied(commit: Commit): void;
  /** Commits from `version` on are missing: the metadata repository has them. */
  askHistory(version: number): void;
  /** Takes them from another replica: they are many, or the repository has forgotten them. False: there is none. */
  askReplica(): boolean;
}

/**
 * The commits that come to one replica: puts them to its core in the order of their versions, keeps
 * those whose records are still on their way, and sees to those that are missing.
 */
export class CommitInbox {
  private readonly core: ReplicaCore;
  private readonly host: CommitInboxHost;
  private waiting: Commit[] = [];
  /** The newest commit that is known to exist. */
  private knownVersion = 0;
  private asked = false;
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
  hear(version: number): void {
    this.knownVersion = Math.max(this.knownVersion, version);
  }

  /** A new session, or a new assignment: commits up to `version` exist, and were not told of. */
  expect(version: number): void {
    this.hear(version);
    this.asked = false;
    if (this.lacksSome) this.ask();
  }

  /** Takes commits of this log stream, in the order of their versions. */
  take(commits: readonly Commit[]): void {
    for (const commit of commits) this.takeOne(commit);
    if (!this.lacksSome) {
      this.gaps = 0;
      return;
    }
    this.ask();
    // While records are missing too, the commits could not be applied anyway.
    if (this.waiting.length > 0) return;
    this.gaps++;
    if (this.gaps < GAPS_MAX) return;
    this.gaps = 0;
    this.host.askReplica();
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
  }

  /** Whether there are commits that are neither applied nor here. */
  private get lacksSome(): boolean {
    return this.core.version + this.waiting.length < this.knownVersion;
  }

  private takeOne(commit: Commit): void {
    this.knownVersion = Math.max(this.knownVersion, commit.version);
    const outcome = this.core.commit(commit);
    if (outcome === 'applied') {
      this.asked = false;
      this.host.applied(commit);
      return;
    }
    const last = this.waiting.at(-1);
    const follows = last !== undefined && commit.version === last.version + 1;
    const isNext = outcome === 'waiting' && last === undefined;
    if (isNext || (follows && this.waiting.length < WAITING_MAX)) this.waiting.push(commit);
  }

  private ask(): void {
    if (this.asked) return;
    this.asked = true;
    const lacking = this.knownVersion - this.core.version - this.waiting.length;
    if (lacking > ASKED_MAX && this.host.askReplica()) return;
    this.host.askHistory((this.waiting.at(-1)?.version ?? this.core.version) + 1);
  }
}
