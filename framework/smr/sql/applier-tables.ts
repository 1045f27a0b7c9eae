import type { EntityManager } from 'typeorm';
import { POSITION_LIMIT, VarlogError } from '../../base/index.ts';
import { Session as SessionMessage } from '../../wire/gen/smr.ts';
import type { Dialect } from './dialect.ts';

export const APPLIER_TABLE = 'varlog_applier';
export const SESSION_TABLE = 'varlog_session';

/** How far a database is. */
export interface Progress {
  /** All commands up to here have taken effect in it. */
  readonly position: number;
  /** The log's time there. */
  readonly time: number;
}

interface ApplierRow {
  // Postgres hands out a bigint as text.
  position: number | string;
  time: number;
  owner: number | string;
}

/**
 * What a replica keeps beside the machine's own rows: position, time, and who may apply; and its
 * sessions, one row each. Positions are whole numbers below 2^53, which `bigint` columns of SQLite and
 * Postgres keep exactly.
 */
export class ApplierTables {
  private readonly name: string;
  private readonly dialect: Dialect;

  constructor(name: string, dialect: Dialect) {
    this.name = name;
    this.dialect = dialect;
  }

  /** Makes the caller the one applier: whoever was it before is fenced off. Returns its owner epoch. */
  async claim(manager: EntityManager): Promise<number> {
    await this.query(
      manager,
      `INSERT INTO ${APPLIER_TABLE} (name, position, time, owner) VALUES ($1, 0, 0, 0)
       ON CONFLICT (name) DO NOTHING`,
      [this.name],
    );
    await this.query(manager, `UPDATE ${APPLIER_TABLE} SET owner = owner + 1 WHERE name = $1`, [
      this.name,
    ]);
    return exact((await this.row(manager)).owner);
  }

  /**
   * Must come first in a transaction: keeps all others from applying until it ends. Throws
   * `ANOTHER_APPLIER` when `owner` is not the newest.
   */
  async lock(manager: EntityManager, owner: number): Promise<Progress> {
    // A write, because on SQLite it takes the lock that a read would have to be upgraded to.
    await this.query(manager, `UPDATE ${APPLIER_TABLE} SET owner = owner WHERE name = $1`, [
      this.name,
    ]);
    const row = await this.row(manager);
    if (exact(row.owner) !== owner) throw this.fenced();
    return { position: exact(row.position), time: row.time };
  }

  async advance(manager: EntityManager, { position, time }: Progress): Promise<void> {
    await this.query(
      manager,
      `UPDATE ${APPLIER_TABLE} SET position = $1, time = $2 WHERE name = $3`,
      [position, time, this.name],
    );
  }

  /** All sessions, least recently used first. */
  async sessions(manager: EntityManager): Promise<SessionMessage[]> {
    const rows = await this.query<{ state: Uint8Array }>(
      manager,
      `SELECT state FROM ${SESSION_TABLE} WHERE name = $1 ORDER BY used_position`,
      [this.name],
    );
    return rows.map(({ state }) => SessionMessage.decode(state));
  }

  async saveSession(manager: EntityManager, session: SessionMessage): Promise<void> {
    await this.query(
      manager,
      `INSERT INTO ${SESSION_TABLE} (name, id, used_position, state) VALUES ($1, $2, $3, $4)
       ON CONFLICT (name, id)
       DO UPDATE SET used_position = excluded.used_position, state = excluded.state`,
      [this.name, session.id, session.usedPosition, SessionMessage.encode(session)],
    );
  }

  async dropSession(manager: EntityManager, id: number): Promise<void> {
    await this.query(manager, `DELETE FROM ${SESSION_TABLE} WHERE name = $1 AND id = $2`, [
      this.name,
      id,
    ]);
  }

  private async row(manager: EntityManager): Promise<ApplierRow> {
    const rows = await this.query<ApplierRow>(
      manager,
      `SELECT position, time, owner FROM ${APPLIER_TABLE} WHERE name = $1`,
      [this.name],
    );
    // Whoever removed the row will begin anew: this applier must not go on beside it.
    if (rows[0] === undefined) throw this.fenced();
    return rows[0];
  }

  private query<Row>(
    manager: EntityManager,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<Row[]> {
    return manager.query(this.dialect.statement(sql), [...parameters]);
  }

  private fenced(): VarlogError {
    return new VarlogError('ANOTHER_APPLIER', {
      what: `another replica applies "${this.name}" to this database`,
      because: 'a replica that was started later took it over',
      next: 'give each replica a database of its own, and start one process for each',
      details: { name: this.name },
    });
  }
}

function exact(value: number | string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new VarlogError('CORRUPT', {
    what: `the database holds ${value} where a whole number below ${POSITION_LIMIT} belongs`,
    next: 'restore it from another replica',
  });
}
