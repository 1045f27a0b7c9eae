import type { EntityManager } from 'typeorm';
import { POSITION_LIMIT, VarlogError } from '../../base/index.ts';
import {
  Request as RequestMessage,
  Session as SessionMessage,
  Timer as TimerMessage,
} from '../../wire/gen/smr.ts';
import { checkIdentity, type LogIdentity } from '../log-identity.ts';
import type { Dialect } from './dialect.ts';

export const APPLIER_TABLE = 'varlog_applier';
export const SESSION_TABLE = 'varlog_session';
export const REQUEST_TABLE = 'varlog_request';
export const TIMER_TABLE = 'varlog_timer';

/** How far a database is. */
export interface Progress {
  /** All commands up to here have taken effect in it. */
  readonly position: number;
  /** The log's time there. */
  readonly time: number;
  /** Position of the newest request that was forgotten. */
  readonly forgotten: number;
  /** Furthest position that the writer of an entry had applied. */
  readonly seen: number;
  /** Version of the machine's rules. */
  readonly rules: number;
  /** Commands that were passed over by order: few. */
  readonly skipped: readonly number[];
  /** The same of timers, by their ids. */
  readonly skippedTimers: readonly number[];
  /** How many timers were ever made. */
  readonly timersMade: number;
}

/** Who applies to a database, and what was asked of it. */
export interface LockState {
  /** Grows with each applier: all but the newest are fenced off. */
  readonly owner: number;
  /** The newest one's own name for itself; empty once it has said that it ended. */
  readonly holder: string;
  /** The newest question whether it lives, and the newest that it answered. */
  readonly challenge: number;
  readonly answer: number;
}

/** Rows that one query reads. */
const PART_ROWS = 1_000;

interface ApplierRow extends LogIdentity {
  // Postgres hands out a bigint as text.
  position: number | string;
  time: number;
  forgotten: number | string;
  seen: number | string;
  rules: number | string;
  skipped: string;
  owner: number | string;
  holder: string;
  challenge: number | string;
  answer: number | string;
  place: string;
  timers_made: number | string;
}

/**
 * What a replica keeps beside the machine's own rows: position, time, what the database belongs to and
 * who may apply, in one row; and its sessions, requests and timers, one row each. Positions are whole numbers below 2^53,
 * which `bigint` columns of SQLite and Postgres keep exactly.
 */
export class ApplierTables {
  private readonly dialect: Dialect;

  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  /** Throws `LOG_MISMATCH` for a database that belongs to something else; looks only. */
  async check(manager: EntityManager, own: LogIdentity): Promise<void> {
    let row: ApplierRow | undefined;
    try {
      row = await this.row(manager);
    } catch (error) {
      // An empty database has no tables yet.
      if (!this.dialect.isOfStatement(error)) throw error;
    }
    if (row !== undefined)
      checkIdentity({ log: row.log, machine: row.machine }, own, 'this database');
  }

  /** Dedicates an empty database. Throws `LOG_MISMATCH` for one that belongs to something else. */
  async dedicate(manager: EntityManager, own: LogIdentity): Promise<void> {
    await this.query(
      manager,
      `INSERT INTO ${APPLIER_TABLE} (machine, log, position, time, forgotten, seen, skipped, owner, holder, challenge, answer)
       SELECT $1, $2, 0, 0, 0, 0, '[]', 0, '', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM ${APPLIER_TABLE})`,
      [own.machine, own.log],
    );
    await this.check(manager, own);
  }

  /** Which database this is, for as long as it lasts: `fresh` if it was none yet. */
  async place(manager: EntityManager, fresh: string): Promise<string> {
    const sql = `UPDATE ${APPLIER_TABLE} SET place = $1 WHERE place = ''`;
    await this.query(manager, sql, [fresh]);
    const row = await this.row(manager);
    if (row === undefined) throw rowIsGone();
    return row.place;
  }

  /**
   * Who applies. Must come first in a transaction that changes it: keeps all others from changing
   * anything until the transaction ends.
   */
  async lockState(manager: EntityManager): Promise<LockState> {
    const row = await this.lockedRow(manager);
    return lockStateOf(row);
  }

  /** Who applies, looked at without keeping anybody waiting. */
  async glance(manager: EntityManager): Promise<LockState> {
    const row = await this.row(manager);
    if (row === undefined) throw rowIsGone();
    return lockStateOf(row);
  }

  async setLockState(manager: EntityManager, it: LockState): Promise<void> {
    await this.query(
      manager,
      `UPDATE ${APPLIER_TABLE} SET owner = $1, holder = $2, challenge = $3, answer = $4`,
      [it.owner, it.holder, it.challenge, it.answer],
    );
  }

  /**
   * Must come first in a transaction: keeps all others from applying until it ends, and answers who
   * asks whether this applier lives. Throws `ANOTHER_APPLIER` when `owner` is not the newest.
   */
  async lock(manager: EntityManager, owner: number): Promise<Progress> {
    const row = await this.lockedRow(manager);
    const lockState = lockStateOf(row);
    if (lockState.owner !== owner) throw fenced();
    if (lockState.answer < lockState.challenge)
      await this.setLockState(manager, { ...lockState, answer: lockState.challenge });
    const skips = JSON.parse(row.skipped) as number[];
    return {
      position: exact(row.position),
      time: row.time,
      forgotten: exact(row.forgotten),
      seen: exact(row.seen),
      rules: exact(row.rules),
      skipped: skips.filter((it) => it > 0).map(exact),
      // Below 0, so that they need no column of their own.
      skippedTimers: skips.filter((it) => it < 0).map((it) => exact(-it)),
      timersMade: exact(row.timers_made),
    };
  }

  async advance(manager: EntityManager, progress: Progress): Promise<void> {
    const { position, time, forgotten, seen, rules, timersMade } = progress;
    const skips = [...progress.skipped, ...progress.skippedTimers.map((id) => -id)];
    await this.query(
      manager,
      `UPDATE ${APPLIER_TABLE}
       SET position = $1, time = $2, forgotten = $3, seen = $4, rules = $5, skipped = $6, timers_made = $7`,
      [position, time, forgotten, seen, rules, JSON.stringify(skips), timersMade],
    );
  }

  /** All sessions, least recently used first. */
  async sessions(manager: EntityManager): Promise<SessionMessage[]> {
    const all = await this.all(manager, SESSION_TABLE, SessionMessage);
    return all.sort((a, b) => a.usedPosition - b.usedPosition);
  }

  async saveSession(manager: EntityManager, session: SessionMessage): Promise<void> {
    await this.query(
      manager,
      `INSERT INTO ${SESSION_TABLE} (id, used_position, state) VALUES ($1, $2, $3)
       ON CONFLICT (id)
       DO UPDATE SET used_position = excluded.used_position, state = excluded.state`,
      [session.id, session.usedPosition, SessionMessage.encode(session)],
    );
  }

  async dropSession(manager: EntityManager, id: number): Promise<void> {
    await this.query(manager, `DELETE FROM ${SESSION_TABLE} WHERE id = $1`, [id]);
  }

  /** All requests, oldest first. */
  async requests(manager: EntityManager): Promise<RequestMessage[]> {
    const all = await this.all(manager, REQUEST_TABLE, RequestMessage);
    return all.sort((a, b) => a.position - b.position);
  }

  async saveRequest(manager: EntityManager, request: RequestMessage): Promise<void> {
    await this.query(
      manager,
      `INSERT INTO ${REQUEST_TABLE} (id, position, state) VALUES ($1, $2, $3)
       ON CONFLICT (id) DO UPDATE SET position = excluded.position, state = excluded.state`,
      [bytesOf(request.id), request.position, RequestMessage.encode(request)],
    );
  }

  async dropRequest(manager: EntityManager, id: string): Promise<void> {
    await this.query(manager, `DELETE FROM ${REQUEST_TABLE} WHERE id = $1`, [bytesOf(id)]);
  }

  /** All timers, by id. */
  timers(manager: EntityManager): Promise<TimerMessage[]> {
    return this.all(manager, TIMER_TABLE, TimerMessage);
  }

  /** A timer is never changed, only dropped. */
  async saveTimer(manager: EntityManager, timer: TimerMessage): Promise<void> {
    const sql = `INSERT INTO ${TIMER_TABLE} (id, state) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`;
    await this.query(manager, sql, [timer.id, TimerMessage.encode(timer)]);
  }

  async dropTimer(manager: EntityManager, id: number): Promise<void> {
    await this.query(manager, `DELETE FROM ${TIMER_TABLE} WHERE id = $1`, [id]);
  }

  /** What the rows of a table hold, by id. It is read a part at a time: there may be as much of it as the limits allow. */
  private async all<Message>(
    manager: EntityManager,
    table: string,
    message: { decode(bytes: Uint8Array): Message },
  ): Promise<Message[]> {
    const found: Message[] = [];
    for (let after: readonly unknown[] = []; ; ) {
      const where = after.length === 0 ? '' : 'WHERE id > $1';
      const sql = `SELECT id, state FROM ${table} ${where} ORDER BY id LIMIT ${PART_ROWS}`;
      const rows = await this.query<{ id: unknown; state: Uint8Array }>(manager, sql, after);
      for (const { state } of rows) found.push(message.decode(state));
      if (rows.length < PART_ROWS) return found;
      after = [rows.at(-1)!.id];
    }
  }

  private async lockedRow(manager: EntityManager): Promise<ApplierRow> {
    // A write, because on SQLite it takes the lock that a read would have to be upgraded to.
    await this.query(manager, `UPDATE ${APPLIER_TABLE} SET owner = owner`, []);
    const row = await this.row(manager);
    if (row === undefined) throw rowIsGone();
    return row;
  }

  private async row(manager: EntityManager): Promise<ApplierRow | undefined> {
    const rows = await this.query<ApplierRow>(manager, `SELECT * FROM ${APPLIER_TABLE}`, []);
    return rows[0];
  }

  private query<Row>(
    manager: EntityManager,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<Row[]> {
    return manager.query(this.dialect.statement(sql), [...parameters]);
  }
}

function lockStateOf({ owner, holder, challenge, answer }: ApplierRow): LockState {
  return {
    owner: exact(owner),
    holder,
    challenge: exact(challenge),
    answer: exact(answer),
  };
}

/** Another applier is the newest one. */
export function fenced(): VarlogError {
  return new VarlogError('ANOTHER_APPLIER', {
    what: 'another replica has taken this database over',
    because:
      'it was started while this one did not answer: its process was stopped, or was too busy',
    next: 'leave the other one to it, or stop that one and start this one again',
  });
}

/** Whoever removed the row will begin anew: this applier must not go on beside it. */
function rowIsGone(): VarlogError {
  return new VarlogError('ANOTHER_APPLIER', {
    what: `the row of ${APPLIER_TABLE} is gone`,
    because: 'somebody emptied this database or put another in its place',
    next: 'start the replica again: with an empty database it begins at the head of the log',
  });
}

/** A text of Postgres holds no zero character, and an id may. */
function bytesOf(id: string): Uint8Array {
  return Buffer.from(id);
}

function exact(value: number | string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new VarlogError('CORRUPT', {
    what: `the database holds ${value} where a whole number below ${POSITION_LIMIT} belongs`,
    next: 'restore it from another replica',
  });
}
