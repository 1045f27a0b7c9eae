import { SequenceMap } from '../base/index.ts';
import { Session as SessionMessage, SessionResult } from '../wire/gen/smr.ts';
import { type CommandOutcome, decodeOutcome, encodeOutcome } from './command-outcome.ts';
import type { Anchor } from './log-time.ts';

/**
 * Limits of the session table. They decide what a command does, so they must be equal on all
 * replicas of a machine.
 */
export interface SessionLimits {
  /** When more are open, the least recently used one is closed. */
  sessionsMax: number;
  /** A session that was not used for so long, by the log's time, is closed. */
  idleMs: number;
}

export const SESSION_LIMITS: SessionLimits = { sessionsMax: 10_000, idleMs: 3_600_000 };

interface Session {
  readonly id: number;
  usedAt: number;
  usedPosition: number;
  clock: number;
  acked: number;
  readonly results: SequenceMap<CommandOutcome>;
  /** {@link SessionTable.encode} was called so often when it was made: later ones have it as it is. */
  readonly version: number;
}

/** A command in its session. */
export interface SessionUse {
  readonly sequence: number;
  readonly acked: number;
  readonly position: number;
  /** The log's time there. */
  readonly time: number;
  /** The proposer's. */
  readonly clock: number;
}

/**
 * What becomes of a command, as far as its session knows: it takes effect; it has done so, and the outcome is known, or
 * was forgotten because its client said that it awaits it no more; or nobody can tell any more.
 */
export type SessionVerdict = 'fresh' | 'repeated' | 'forgotten' | 'expired';

/**
 * Which commands have taken effect: part of the replicated state (Raft thesis, section 6.3). A session
 * is opened by an entry and named by its position, so one that was closed can never come back, and a
 * late retry in it never takes effect twice. All decisions depend on the entries alone.
 */
export class SessionTable {
  private readonly limits: SessionLimits;
  /** Least recently used first. */
  private sessions = new Map<number, Session>();
  private readonly touched: (id: number) => void;
  private newest: Session | undefined;
  private version = 0;

  /** `touched` is told of each session that is opened, used or closed: for tables kept row by row. */
  constructor(limits: SessionLimits, touched: (id: number) => void = () => {}) {
    this.limits = limits;
    this.touched = touched;
  }

  get size(): number {
    return this.sessions.size;
  }

  /** `clock`: of the proposer. */
  open(position: number, time: number, clock: number): void {
    for (const session of this.sessions.values()) {
      const full = this.sessions.size >= this.limits.sessionsMax;
      if (!full && time - session.usedAt <= this.limits.idleMs) break;
      this.drop(session.id);
    }
    const session = {
      id: position,
      usedAt: time,
      usedPosition: position,
      clock,
      acked: 0,
      results: new SequenceMap<CommandOutcome>(),
      version: this.version,
    };
    this.sessions.set(position, session);
    this.newest = session;
    this.touched(position);
  }

  /** Where its client's clock stood; `undefined` where it is not open. */
  anchorOf(id: number): Anchor | undefined {
    return this.find(id);
  }

  /** Notes that the client of a session wrote something. Whether the session is open. */
  renew(id: number, use: Pick<SessionUse, 'position' | 'time' | 'clock'>): boolean {
    const session = this.find(id);
    if (session === undefined) return false;
    if (use.time - session.usedAt > this.limits.idleMs) {
      this.drop(id);
      return false;
    }
    this.use(session, use);
    return true;
  }

  /** Decides on a command; one that is `fresh` must be followed by {@link done}. */
  admit(id: number, use: SessionUse): SessionVerdict {
    if (!this.renew(id, use)) return 'expired';
    const session = this.find(id) as Session;
    if (use.acked > session.acked) {
      session.results.deleteBelow(use.acked);
      session.acked = use.acked;
    }
    if (session.results.has(use.sequence)) return 'repeated';
    return use.sequence < session.acked ? 'forgotten' : 'fresh';
  }

  done(id: number, sequence: number, outcome: CommandOutcome): void {
    const session = this.find(id);
    if (session !== undefined) this.own(session).results.set(sequence, outcome);
  }

  has(id: number): boolean {
    return this.sessions.has(id);
  }

  /** What a command came to, where that is still kept. */
  outcomeOf(id: number, sequence: number): CommandOutcome | undefined {
    return this.find(id)?.results.get(sequence);
  }

  /** All sessions as they are now, least recently used first: made as they are read, once. */
  encode(): Iterable<SessionMessage> {
    this.version++;
    return this.messages([...this.sessions.values()]);
  }

  /** One session; `undefined` where it is not open. */
  encodeOne(id: number): SessionMessage | undefined {
    const session = this.sessions.get(id);
    return session === undefined ? undefined : this.toMessage(session);
  }

  /** An empty one, to be filled by {@link restore} while this one goes on, until it is {@link replace}d. */
  fresh(): SessionTable {
    return new SessionTable(this.limits);
  }

  /** Adds one as it was stored: the least recently used first. */
  restore({ id, usedAt, usedPosition, clock, acked, results: kept }: SessionMessage): void {
    const results = new SequenceMap<CommandOutcome>();
    for (const it of kept) results.set(it.sequence, decodeOutcome(it));
    const session = { id, usedAt, usedPosition, clock, acked, results, version: this.version };
    this.sessions.set(id, session);
    this.newest = session;
  }

  /** Has what the {@link fresh} one has, from now on; that is used no more. */
  replace({ sessions, newest, version }: SessionTable): void {
    this.sessions = sessions;
    this.newest = newest;
    this.version = version;
  }

  /** Most commands come in the session of the one before, which need not be looked up. */
  private find(id: number): Session | undefined {
    return this.newest?.id === id ? this.newest : this.sessions.get(id);
  }

  private use(
    given: Session,
    { time, position, clock }: Pick<SessionUse, 'position' | 'time' | 'clock'>,
  ): void {
    const session = this.own(given);
    session.usedAt = time;
    session.usedPosition = position;
    // A repeated entry carries the time of its first attempt: only what is new has passed.
    session.clock = Math.max(session.clock, clock);
    this.touched(session.id);
    if (session === this.newest) return;
    this.sessions.delete(session.id);
    this.sessions.set(session.id, session);
    this.newest = session;
  }

  /** To be changed: one that a snapshot may still read is replaced by a copy. */
  private own(session: Session): Session {
    const { version } = this;
    if (session.version === version) return session;
    const results = new SequenceMap<CommandOutcome>();
    for (const [sequence, outcome] of session.results) results.set(sequence, outcome);
    const own = { ...session, results, version };
    this.sessions.set(own.id, own);
    if (session === this.newest) this.newest = own;
    return own;
  }

  private drop(id: number): void {
    this.sessions.delete(id);
    this.touched(id);
    if (this.newest?.id === id) this.newest = undefined;
  }

  private *messages(sessions: readonly Session[]): Generator<SessionMessage> {
    for (const it of sessions) yield this.toMessage(it);
  }

  private toMessage({ results, version: _, ...session }: Session): SessionMessage {
    const kept = [...results].map(([sequence, outcome]) =>
      SessionResult.create({ sequence, ...encodeOutcome(outcome) }),
    );
    return SessionMessage.create({ ...session, results: kept });
  }
}
