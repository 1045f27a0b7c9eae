import { crc32c } from '@node-rs/crc32';
import { type LogEntry, type TurnBudget, VarlogError } from '../base/index.ts';
import type {
  Request as RequestMessage,
  Session as SessionMessage,
  Snapshot as SnapshotMessage,
  Timer as TimerMessage,
} from '../wire/gen/smr.ts';
import { type CommandOutcome, decodeOutcome } from './command-outcome.ts';
import { type CheckEntry, EnvelopeReader } from './envelope.ts';
import { timeBehind } from './log-time.ts';
import { REQUEST_LIMITS, type RequestLimits, RequestTable } from './request-table.ts';
import type { Rules } from './rules.ts';
import { SESSION_LIMITS, type SessionLimits, SessionTable } from './session-table.ts';
import { counts, namesOf, type SkipTarget, skipTarget } from './skip-command.ts';
import { type DueCommand, TIMER_LIMITS, type TimerLimits, TimerTable } from './timer-table.ts';

/** What decides on commands beside the log. Must be equal on all replicas of a machine. */
export interface AdmissionLimits {
  /** Default: 10,000 sessions, an hour. */
  sessions?: SessionLimits;
  /** Default: 24 hours, 64 MiB. */
  requests?: RequestLimits;
  /** Default: 16 MiB. */
  timers?: TimerLimits;
  /** A wrong clock brings the log's time forward by so much at once. Default: 24 hours. */
  timeLeapMaxMs?: number;
}

/** Told what changed: for tables that are kept row by row. */
export interface Touched {
  session(id: number): void;
  request(id: string): void;
  timer(id: number): void;
}

/** What a snapshot holds of an {@link Admission}, or a piece of that: what is not in a piece is zero, or empty. */
export type AdmissionState = Pick<
  SnapshotMessage,
  'time' | 'forgotten' | 'seen' | 'rules' | 'timersMade'
> & {
  readonly sessions: readonly SessionMessage[];
  readonly requests: readonly RequestMessage[];
  readonly skipped: readonly number[];
  readonly skippedTimers: readonly number[];
  readonly timers: readonly TimerMessage[];
};

/**
 * The same, with the sessions made as they are read, once, and the requests as they are kept: fields `requests` of
 * `Snapshot` in smr.proto, some in each piece.
 */
export type EncodedAdmission = Omit<AdmissionState, 'sessions' | 'requests' | 'timers'> & {
  readonly sessions: Iterable<SessionMessage>;
  readonly timers: Iterable<TimerMessage>;
  readonly requests: readonly Uint8Array[];
};

/** Those that only grow. */
const NUMBERS = ['time', 'forgotten', 'seen', 'rules', 'timersMade'] as const;

/** State of admission for a machine that has applied nothing. */
export const NOTHING_ADMITTED: AdmissionState = {
  time: 0,
  sessions: [],
  requests: [],
  forgotten: 0,
  seen: 0,
  rules: 0,
  skipped: [],
  skippedTimers: [],
  timers: [],
  timersMade: 0,
};

const NOTHING_DUE: readonly DueCommand[] = [];

/**
 * What becomes of an entry. `fresh`: its command takes effect, and {@link Admission.recordOutcome} must follow. `settled`: it
 * was decided before, and {@link Admission.outcome} says how. `expired`: it came too late for its session and takes no
 * effect, or is the tick of a session that is closed. `passed`: nobody awaits anything. `check`: {@link Admission.check} is
 * to be compared with the state. `foreign`: it is not of this machine on this log.
 */
export type Verdict = 'fresh' | 'settled' | 'expired' | 'passed' | 'check' | 'foreign';

/**
 * What every replica decides before its machine sees a command, from the entries alone: whose it is, what time it is,
 * and whether it took effect before, by its session or by its caller's request id. Part of the replicated state.
 */
export class Admission {
  readonly sessions: SessionTable;
  readonly requests: RequestTable;
  readonly rules: Rules;
  /** Commands of the machine that wait for their time. */
  readonly timers: TimerTable;
  /** What a clock may bring the log's time forward by at once. */
  readonly leapMaxMs: number;
  private envelope = new EnvelopeReader(new Uint8Array(8));
  private position = 0;
  private now = 0;
  private decided: CommandOutcome = 'skipped';
  /** Furthest position that the writer of an entry had applied. */
  private seen = 0;
  /** Commands that were passed over by order. */
  private skipped = new Set<SkipTarget>();
  /** To be passed over when they come: known from looking ahead, so not part of the state. */
  private ordered: ReadonlySet<SkipTarget> = new Set();

  constructor(limits: AdmissionLimits, rules: Rules, touched?: Touched) {
    this.rules = rules;
    this.sessions = new SessionTable(limits.sessions ?? SESSION_LIMITS, touched?.session);
    this.requests = new RequestTable(limits.requests ?? REQUEST_LIMITS, touched?.request);
    this.timers = new TimerTable(limits.timers ?? TIMER_LIMITS, touched?.timer);
    this.leapMaxMs = limits.timeLeapMaxMs ?? 24 * 3_600_000;
  }

  /** Before the first {@link admit}: the tag of this machine on this log. */
  bind(tag: Uint8Array): void {
    this.envelope = new EnvelopeReader(tag);
    this.requests.bind(tag);
  }

  /** The log's time. */
  get time(): number {
    return this.now;
  }

  /** What the log's time would be after an entry that was written in a session, or in a new one, by this clock. */
  timeAfter(session: number, clock: number): number {
    return timeBehind(this.now, clock, this.sessions.anchorOf(session), this.leapMaxMs);
  }

  /** Session of the command that was admitted last. */
  get session(): number {
    return this.envelope.session;
  }

  get sequence(): number {
    return this.envelope.sequence;
  }

  /** The command that was admitted last, as its bytes lie in the log. */
  get command(): Uint8Array {
    return this.envelope.command;
  }

  /** Outcome of the command that was admitted last, where it is settled. */
  get outcome(): CommandOutcome {
    return this.decided;
  }

  /** What an entry says of the state at an earlier one, where the verdict was `check`. */
  get check(): CheckEntry {
    return this.envelope;
  }

  /** How many commands were passed over by order. */
  get skips(): number {
    return this.skipped.size;
  }

  /** What a command comes to whose request was decided before; `undefined` where it was not, or has no id. */
  decidedBefore(requestId: Uint8Array, command: Uint8Array): CommandOutcome | undefined {
    const known = requestId.length === 0 ? undefined : this.requests.find(requestId);
    if (known === undefined) return undefined;
    const same = known.length === command.length && known.checksum === crc32c(command);
    return same ? decodeOutcome(known) : 'requestMismatch';
  }

  /** These are passed over when they come: see `skipsFrom`. */
  order(targets: ReadonlySet<SkipTarget>): void {
    this.ordered = new Set([...this.ordered, ...targets]);
  }

  isOrdered(target: SkipTarget): boolean {
    return this.ordered.has(target);
  }

  /**
   * What is due at the time of the entry that was admitted last, which is to be applied before it, one after the other; what is to be
   * passed over is dropped.
   */
  due(): Iterable<DueCommand> {
    // So with nearly all entries, and a generator costs more than to look.
    if (!this.timers.isDue(this.now)) return NOTHING_DUE;
    return this.timers.due(this.position, this.now, (id) => {
      const target = skipTarget(0, id);
      if (!this.ordered.has(target)) return false;
      this.skipped.add(target);
      return true;
    });
  }

  /**
   * Decides on the next entry. Throws `FORMAT_UNKNOWN` on one that only a newer version can read, `APPLY_FAILED` on one that
   * raises the rules above those that the machine knows, and `FAILED_PRECONDITION` on an order to pass over a command that
   * took effect here.
   */
  admit({ position, command }: LogEntry): Verdict {
    const { envelope } = this;
    envelope.read(command, position);
    this.position = position;
    if (envelope.kind === 'foreign') return 'foreign';
    if (envelope.kind === 'command') return this.admitCommand();
    if (envelope.kind === 'tick') return this.admitTick();
    if (envelope.kind === 'check') return this.ordered.has(position) ? 'passed' : 'check';
    if (envelope.kind === 'skip') this.checkSkip(envelope.skipped, envelope.skippedTimer);
    else if (envelope.kind === 'upgrade') this.upgrade(envelope.rules);
    else {
      this.now = timeBehind(this.now, envelope.time, undefined, this.leapMaxMs);
      this.sessions.open(position, this.now, envelope.time);
    }
    return 'passed';
  }

  /** How the command that was admitted as `fresh` ended. */
  recordOutcome(outcome: CommandOutcome): void {
    const { session, sequence, requestId: id, command } = this.envelope;
    this.decided = outcome;
    this.sessions.done(session, sequence, outcome);
    if (id.length === 0) return;
    const { position, now: time } = this;
    const { length } = command;
    this.requests.add({ id, length, checksum: crc32c(command), position, time, outcome });
  }

  /** What it keeps beside sessions, requests and timers. */
  get progress(): Omit<AdmissionState, 'sessions' | 'requests' | 'timers'> {
    const { now: time, seen, requests, timers } = this;
    const [{ forgotten }, { stored: rules }] = [requests, this.rules];
    const skipped = [...this.skipped].filter((it) => it > 0);
    const skippedTimers = [...this.skipped].filter((it) => it < 0).map((it) => -it);
    return { time, forgotten, seen, rules, skipped, skippedTimers, timersMade: timers.made };
  }

  /** Its part of a snapshot, which stays as it is. */
  encode(): EncodedAdmission {
    const [sessions, requests] = [this.sessions.encode(), this.requests.encode()];
    return { ...this.progress, sessions, requests, timers: this.timers.encode() };
  }

  /**
   * Reads what was stored, so much of it in a turn as `turns` allows, and changes nothing meanwhile. Resolves with what puts
   * all of it in force at once. Rejects with `APPLY_FAILED` where the machine does not know the rules that were in force, and
   * with what reading the pieces rejects with.
   */
  async read(
    pieces: Iterable<AdmissionState> | AsyncIterable<AdmissionState>,
    turns: TurnBudget,
  ): Promise<() => void> {
    const sessions = this.sessions.fresh();
    const requests = this.requests.fresh();
    const timers = this.timers.fresh();
    const skipped = new Set<SkipTarget>();
    const numbers = { time: 0, forgotten: 0, seen: 0, rules: 0, timersMade: 0 };
    for await (const piece of pieces) {
      for (const name of NUMBERS) numbers[name] = Math.max(numbers[name], piece[name]);
      for (const position of piece.skipped) skipped.add(position);
      for (const id of piece.skippedTimers) skipped.add(skipTarget(0, id));
      await inTurns(turns, piece.sessions, (it) => sessions.restore(it));
      await inTurns(turns, piece.requests, (it) => requests.restore(it));
      await inTurns(turns, piece.timers, (it) => timers.restore(it));
    }
    this.rules.checkStored(numbers.rules);
    return () => {
      this.rules.restore(numbers.rules);
      this.now = numbers.time;
      this.seen = numbers.seen;
      this.skipped = skipped;
      this.sessions.replace(sessions);
      this.requests.replace(requests, numbers.forgotten);
      this.timers.replace(timers, numbers.timersMade);
    };
  }

  private admitCommand(): Verdict {
    const { sessions, requests, envelope, position } = this;
    const { session, sequence, time: clock } = envelope;
    this.seen = Math.max(this.seen, envelope.seen);
    const anchor = sessions.anchorOf(session);
    // Nobody knows how the clock of a closed session went.
    if (anchor === undefined) return 'expired';
    this.now = timeBehind(this.now, clock, anchor, this.leapMaxMs);
    requests.expire(this.now);
    const use = { sequence, acked: envelope.acked, position, time: this.now, clock };
    const admitted = sessions.admit(session, use);
    if (admitted === 'expired') return 'expired';
    if (admitted === 'forgotten') return 'passed';
    if (admitted === 'fresh') return this.admitRequest();
    this.decided = sessions.outcomeOf(session, sequence) as CommandOutcome;
    return 'settled';
  }

  private admitTick(): Verdict {
    const { sessions, requests, envelope, position } = this;
    const { session, time: clock } = envelope;
    this.seen = Math.max(this.seen, envelope.seen);
    const anchor = sessions.anchorOf(session);
    if (anchor === undefined) return 'expired';
    this.now = timeBehind(this.now, clock, anchor, this.leapMaxMs);
    requests.expire(this.now);
    return sessions.renew(session, { position, time: this.now, clock }) ? 'passed' : 'expired';
  }

  /** Nobody sent this command in its session before; perhaps somebody did elsewhere. */
  private admitRequest(): Verdict {
    const { requestId, command, session, sequence } = this.envelope;
    const known = this.decidedBefore(requestId, command);
    if (known === undefined && this.ordered.has(this.position)) {
      this.skipped.add(this.position);
      this.recordOutcome('skipped');
      return 'settled';
    }
    if (known === undefined) return 'fresh';
    this.decided = known;
    this.sessions.done(session, sequence, this.decided);
    return 'settled';
  }

  private upgrade(rules: number): void {
    if (this.ordered.has(this.position)) this.skipped.add(this.position);
    else this.rules.raise(rules, this.position);
  }

  /** All replicas pass over a command alike, or stop. */
  private checkSkip(skipped: number, timer: number): void {
    const { position } = this;
    if (!counts(skipped, position, this.seen)) return;
    if (this.skipped.has(skipTarget(skipped, timer))) return;
    if (this.ordered.has(position)) {
      this.skipped.add(position);
      return;
    }
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `the entry at position ${position} orders to pass over ${namesOf(skipped, timer || undefined).what} and that took effect here`,
      because:
        'the order named a command that could be applied, or replicas run different versions',
      next: `start from a snapshot of a replica that passed over it; or, where none did, take the order back with skipCommand(log, ${position})`,
      details: { position, skipped },
    });
  }
}

async function inTurns<T>(
  turns: TurnBudget,
  items: readonly T[],
  restore: (item: T) => void,
): Promise<void> {
  for (const item of items) {
    const turn = turns.take(1);
    if (turn !== undefined) await turn;
    restore(item);
  }
}
