import { type Codec, SequenceMap } from '../base/index.ts';
import { Session as SessionMessage, SessionResult } from '../wire/gen/smr.ts';

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

interface Session<Result> {
  readonly id: number;
  usedAt: number;
  usedPosition: number;
  acked: number;
  readonly results: SequenceMap<Result>;
}

/**
 * What becomes of a command: it takes effect; it has done so, and the result is known, or was
 * forgotten because its client said that it awaits it no more; or nobody can tell any more.
 */
export type Verdict = 'fresh' | 'repeated' | 'forgotten' | 'expired';

/**
 * Which commands have taken effect: part of the replicated state (Raft thesis, section 6.3). A session
 * is opened by an entry and named by its position, so one that was closed can never come back, and a
 * late retry in it never takes effect twice. All decisions depend on the entries alone.
 */
export class SessionTable<Result> {
  private readonly limits: SessionLimits;
  private readonly codec: Codec<Result>;
  /** Least recently used first. */
  private readonly sessions = new Map<number, Session<Result>>();
  private readonly touched: (id: number) => void;
  private newest: Session<Result> | undefined;

  /** `touched` is told of each session that is opened, used or closed: for tables kept row by row. */
  constructor(
    limits: SessionLimits,
    codec: Codec<Result>,
    touched: (id: number) => void = () => {},
  ) {
    this.limits = limits;
    this.codec = codec;
    this.touched = touched;
  }

  get size(): number {
    return this.sessions.size;
  }

  open(position: number, time: number): void {
    for (const session of this.sessions.values()) {
      const full = this.sessions.size >= this.limits.sessionsMax;
      if (!full && time - session.usedAt <= this.limits.idleMs) break;
      this.drop(session.id);
    }
    const results = new SequenceMap<Result>();
    const session = { id: position, usedAt: time, usedPosition: position, acked: 0, results };
    this.sessions.set(position, session);
    this.newest = session;
    this.touched(position);
  }

  /** Decides on a command; one that is `fresh` must be followed by {@link done}. */
  admit(id: number, sequence: number, acked: number, position: number, time: number): Verdict {
    const session = this.sessions.get(id);
    if (session === undefined) return 'expired';
    if (time - session.usedAt > this.limits.idleMs) {
      this.drop(id);
      return 'expired';
    }
    this.use(session, position, time);
    if (acked > session.acked) {
      session.results.deleteBelow(acked);
      session.acked = acked;
    }
    if (session.results.has(sequence)) return 'repeated';
    return sequence < session.acked ? 'forgotten' : 'fresh';
  }

  done(id: number, sequence: number, result: Result): void {
    this.sessions.get(id)?.results.set(sequence, result);
  }

  has(id: number): boolean {
    return this.sessions.has(id);
  }

  /** The kept result of a command, in an object because a result may be `undefined`. */
  resultOf(id: number, sequence: number): { readonly result: Result } | undefined {
    const results = this.sessions.get(id)?.results;
    return results?.has(sequence) ? { result: results.get(sequence) as Result } : undefined;
  }

  /** All sessions, least recently used first. */
  encode(): SessionMessage[] {
    return [...this.sessions.values()].map((session) => this.toMessage(session));
  }

  /** One session; `undefined` where it is not open. */
  encodeOne(id: number): SessionMessage | undefined {
    const session = this.sessions.get(id);
    return session === undefined ? undefined : this.toMessage(session);
  }

  restore(messages: readonly SessionMessage[]): void {
    this.sessions.clear();
    this.newest = undefined;
    for (const { id, usedAt, usedPosition, acked, results } of messages) {
      const session = { id, usedAt, usedPosition, acked, results: new SequenceMap<Result>() };
      for (const it of results) session.results.set(it.sequence, this.codec.decode(it.result));
      this.sessions.set(id, session);
      this.newest = session;
    }
  }

  private use(session: Session<Result>, position: number, time: number): void {
    session.usedAt = time;
    session.usedPosition = position;
    this.touched(session.id);
    if (session === this.newest) return;
    this.sessions.delete(session.id);
    this.sessions.set(session.id, session);
    this.newest = session;
  }

  private drop(id: number): void {
    this.sessions.delete(id);
    this.touched(id);
    if (this.newest?.id === id) this.newest = undefined;
  }

  private toMessage({ results, ...session }: Session<Result>): SessionMessage {
    const kept = [...results].map(([sequence, result]) =>
      SessionResult.create({ sequence, result: this.codec.encode(result) }),
    );
    return SessionMessage.create({ ...session, results: kept });
  }
}
