import type { Clock, Timer } from '../base/index.ts';
import type { RaftLog } from './core/index.ts';
import { RAFT_TIMES } from './timing.ts';

/**
 * When a leader tells the others of a commit. As long as entries follow each commit soon, as they do under load, the next
 * ones bring the news, so that a round is one message to each member and not two. Else it is told at once, as it is where
 * a member waits for it.
 */
export class CommitNews {
  private readonly clock: Clock;
  private readonly log: Pick<RaftLog, 'commit' | 'last'>;
  private readonly schedule: () => void;
  private timer: Timer | undefined;
  /** What the log had at the turn before, and when its commit index moved last. */
  private commit = 0;
  private last = 0;
  private committedAt = 0;
  /** Whether the newest entries followed a commit so soon that it could have waited for them. */
  private entriesFollow = false;
  /** Since when one of the others does not know of a commit; `undefined` while they know of all. */
  private untoldSince: number | undefined;
  private urgent = 0;

  /** `schedule` has a turn come. */
  constructor(clock: Clock, log: Pick<RaftLog, 'commit' | 'last'>, schedule: () => void) {
    this.clock = clock;
    this.log = log;
    this.schedule = schedule;
  }

  /** Of commits up to here each is told as soon as it has the entries. To be asked in each turn, before the news leave. */
  urgentTo(): number {
    const { log } = this;
    if (log.last > this.last) {
      this.last = log.last;
      this.entriesFollow = this.clock.now() - this.committedAt < RAFT_TIMES.commitNewsMs;
    }
    if (log.commit > this.commit) {
      this.commit = log.commit;
      this.committedAt = this.clock.now();
    }
    return this.entriesFollow ? this.urgent : Infinity;
  }

  /** They are to be told of all that is committed by now: one of them was answered, and waits until that reaches it. */
  hurry(): void {
    this.urgent = this.log.commit;
    // What is new since the last turn has another one come by itself.
    if (this.untoldSince !== undefined) this.schedule();
  }

  /** To be told in each turn whether one of them does not know of a commit. */
  note(isUntold: boolean): void {
    if (!isUntold) this.untoldSince = undefined;
    else if (this.untoldSince === undefined) {
      this.untoldSince = this.clock.now();
      // One that is set goes on: to set another one in each round would cost more than to look in vain.
      this.timer ??= this.clock.after(RAFT_TIMES.commitNewsMs, () => this.look());
    }
  }

  close(): void {
    this.timer?.cancel();
  }

  private look(): void {
    this.timer = undefined;
    if (this.untoldSince === undefined) return;
    const left = this.untoldSince + RAFT_TIMES.commitNewsMs - this.clock.now();
    if (left > RAFT_TIMES.earlyMs) this.timer = this.clock.after(left, () => this.look());
    else this.hurry();
  }
}
