import { crc32c } from '@node-rs/crc32';
import type { LogEntry } from '../base/index.ts';
import type { Snapshot as SnapshotMessage } from '../wire/gen/smr.ts';
import { EnvelopeReader } from './envelope.ts';
import { timeBehind } from './log-time.ts';
import type { Outcome } from './outcome.ts';
import { REQUEST_LIMITS, type RequestLimits, RequestTable } from './request-table.ts';
import { SESSION_LIMITS, type SessionLimits, SessionTable } from './session-table.ts';

/** What decides on commands beside the log. Must be equal on all replicas of a machine. */
export interface AdmissionLimits {
  /** Default: 10,000 sessions, an hour. */
  sessions?: SessionLimits;
  /** Default: 24 hours, 64 MiB. */
  requests?: RequestLimits;
  /** A wrong clock brings the log's time forward by so much at once. Default: 24 hours. */
  timeLeapMaxMs?: number;
}

/** Told what changed: for tables that are kept row by row. */
export interface Touched {
  session(id: number): void;
  request(id: string): void;
}

/**
 * What becomes of an entry. `fresh`: its command takes effect, and {@link Admission.settle} must follow. `settled`: it
 * was decided before, and {@link Admission.outcome} says how. `expired`: it came too late for its session and takes no
 * effect. `passed`: nobody awaits anything. `foreign`: it is not of this machine on this log.
 */
export type Verdict = 'fresh' | 'settled' | 'expired' | 'passed' | 'foreign';

/**
 * What every replica decides before its machine sees a command, from the entries alone: whose it is, what time it is,
 * and whether it took effect before, by its session or by its caller's request id. Part of the replicated state.
 */
export class Admission {
  readonly sessions: SessionTable;
  readonly requests: RequestTable;
  private readonly leapMaxMs: number;
  private envelope = new EnvelopeReader(new Uint8Array(8));
  private position = 0;
  private now = 0;
  private decided: Outcome = 'skipped';

  constructor(
    limits: AdmissionLimits,
    touched: Touched = { session: () => {}, request: () => {} },
  ) {
    this.sessions = new SessionTable(limits.sessions ?? SESSION_LIMITS, touched.session);
    this.requests = new RequestTable(limits.requests ?? REQUEST_LIMITS, touched.request);
    this.leapMaxMs = limits.timeLeapMaxMs ?? 24 * 3_600_000;
  }

  /** Before the first {@link admit}: the tag of this machine on this log. */
  bind(tag: Uint8Array): void {
    this.envelope = new EnvelopeReader(tag);
  }

  /** The log's time. */
  get time(): number {
    return this.now;
  }

  /** Of the entry that was admitted last: a command's session, and its sequence there. */
  get session(): number {
    return this.envelope.session;
  }

  get sequence(): number {
    return this.envelope.sequence;
  }

  /** Of the entry that was admitted last, as its bytes lie in the log. */
  get command(): Uint8Array {
    return this.envelope.command;
  }

  /** Of the entry that was admitted last, where it is settled. */
  get outcome(): Outcome {
    return this.decided;
  }

  /** Decides on the next entry. Throws `CORRUPT` on one that only a newer version can read. */
  admit({ position, command }: LogEntry): Verdict {
    const { envelope } = this;
    envelope.read(command, position);
    this.position = position;
    if (envelope.kind === 'foreign') return 'foreign';
    if (envelope.kind === 'command') return this.admitCommand();
    if (envelope.kind === 'open') {
      this.now = timeBehind(this.now, envelope.time, undefined, this.leapMaxMs);
      this.sessions.open(position, this.now, envelope.time);
    }
    return 'passed';
  }

  /** How the command that was admitted as `fresh` ended. */
  settle(outcome: Outcome): void {
    const { session, sequence, requestId: id, command } = this.envelope;
    this.decided = outcome;
    this.sessions.done(session, sequence, outcome);
    if (id === '') return;
    const { position, now: time } = this;
    const { length } = command;
    this.requests.add({ id, length, checksum: crc32c(command), position, time, outcome });
  }

  /** Its part of a snapshot. */
  encode(): Partial<SnapshotMessage> {
    return {
      time: this.now,
      sessions: this.sessions.encode(),
      requests: this.requests.encode(),
      forgotten: this.requests.forgotten,
    };
  }

  restore(stored: Pick<SnapshotMessage, 'time' | 'sessions' | 'requests' | 'forgotten'>): void {
    this.now = stored.time;
    this.sessions.restore(stored.sessions);
    this.requests.restore(stored.requests, stored.forgotten);
  }

  private admitCommand(): Verdict {
    const { sessions, requests, envelope, position } = this;
    const { session, sequence, time: clock } = envelope;
    const anchor = sessions.anchorOf(session);
    // Of a session that is closed nobody knows how its clock went.
    if (anchor === undefined) return 'expired';
    this.now = timeBehind(this.now, clock, anchor, this.leapMaxMs);
    requests.expire(this.now);
    const use = { sequence, acked: envelope.acked, position, time: this.now, clock };
    const admitted = sessions.admit(session, use);
    if (admitted === 'expired') return 'expired';
    if (admitted === 'forgotten') return 'passed';
    if (admitted === 'fresh') return this.admitRequest();
    this.decided = sessions.outcomeOf(session, sequence) as Outcome;
    return 'settled';
  }

  /** Nobody sent this command in its session before; perhaps somebody did elsewhere. */
  private admitRequest(): Verdict {
    const { requestId, command, session, sequence } = this.envelope;
    const known = requestId === '' ? undefined : this.requests.find(requestId);
    if (known === undefined) return 'fresh';
    const same = known.length === command.length && known.checksum === crc32c(command);
    this.decided = same ? known.outcome : 'requestMismatch';
    this.sessions.done(session, sequence, this.decided);
    return 'settled';
  }
}
