import { type Observable, ReplaySubject } from 'rxjs';
import type { LogTrimmed } from './log-trim.ts';
import type { TimersStatus } from './timer-table.ts';

export interface ReplicaStatus {
  /**
   * `connecting`: the log has not answered yet, or does no longer: `error` says why, where it is known.
   * `failed` and `closed` are the end.
   */
  readonly state: 'connecting' | 'running' | 'failed' | 'closed';
  /** All commands up to here have been applied. */
  readonly position: number;
  /** Records of others in this log that were passed over since the start. */
  readonly foreign: number;
  /** Commands that were passed over by an operator's order. */
  readonly skipped: number;
  /** Version of the machine's rules that is in force here. */
  readonly rules: number;
  /** The commands that the machine has scheduled. */
  readonly timers: TimersStatus;
  /** Up to here the state was found to be that of other replicas: see `checkEvery`. 0: nothing was compared yet. */
  readonly checkedPosition: number;
  /** Position of the newest snapshot that is known to be kept; 0: none. A log must not be trimmed beyond it. */
  readonly snapshotPosition: number;
  /** Why the last snapshot could not be made or kept, which is tried again; or why a stored one could not be used. */
  readonly snapshotError?: unknown;
  /** Why the log could not be kept from being trimmed above what this replica would start from. It is tried again. */
  readonly holdError?: unknown;
  /** How far this replica had the log trimmed, and who held it back. Only with `trimLog`. */
  readonly trimmed?: LogTrimmed;
  readonly error?: unknown;
}

/** Told how the log answers. */
export interface LogAvailability {
  reachable(): void;
  unreachable(error: unknown): void;
}

/** How a replica fares. Whoever subscribes late gets the last status too, also when the replica has ended. */
export class ReplicaStatuses implements LogAvailability {
  readonly status$: Observable<ReplicaStatus>;
  private readonly subject = new ReplaySubject<ReplicaStatus>(1);
  private now: ReplicaStatus = {
    state: 'connecting',
    position: 0,
    foreign: 0,
    skipped: 0,
    rules: 1,
    timers: { waiting: 0, nextAt: undefined, lastLateMs: undefined },
    checkedPosition: 0,
    snapshotPosition: 0,
  };

  constructor() {
    this.status$ = this.subject.asObservable();
    this.subject.next(this.now);
  }

  get current(): ReplicaStatus {
    return this.now;
  }

  get observed(): boolean {
    return this.subject.observed;
  }

  get ended(): boolean {
    return this.now.state === 'failed' || this.now.state === 'closed';
  }

  /** Says how far the replica is. */
  update(changes: Partial<Omit<ReplicaStatus, 'state' | 'error'>>): void {
    if (this.ended) return;
    this.now = { ...this.now, ...changes };
    this.subject.next(this.now);
  }

  /** The log answered. */
  reachable(): void {
    if (this.now.state !== 'connecting') return;
    const { error: _, ...rest } = this.now;
    this.now = { ...rest, state: 'running' };
    this.subject.next(this.now);
  }

  /** The log did not answer, or refused. */
  unreachable(error: unknown): void {
    if (this.ended) return;
    this.now = { ...this.now, state: 'connecting', error };
    this.subject.next(this.now);
  }

  end(state: 'failed' | 'closed', error?: unknown): void {
    const { error: _, ...rest } = this.now;
    this.now = { ...rest, state, ...(error === undefined ? {} : { error }) };
    this.subject.next(this.now);
    this.subject.complete();
  }
}
