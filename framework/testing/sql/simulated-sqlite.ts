import type { DataSource } from 'typeorm';
import { type Clock, sleep } from '../../base/index.ts';
import {
  APPLIER_TABLE,
  REQUEST_TABLE,
  SESSION_TABLE,
  TIMER_TABLE,
} from '../../smr/sql/applier-tables.ts';
import { refuseHostFunctions } from './host-functions.ts';
import { sqlStates } from './sql-states.ts';
import { openSqlite, type SqliteConnection } from './sqlite-connection.ts';

/** For the options of a DataSource: a database in memory that the simulation keeps over crashes. */
export interface SimulatedDatabase {
  readonly type: 'better-sqlite3';
  readonly database: ':memory:';
  readonly driver: unknown;
}

const OWN_TABLES: readonly unknown[] = [APPLIER_TABLE, REQUEST_TABLE, SESSION_TABLE, TIMER_TABLE];

export interface OpenOptions {
  readonly clock: Clock;
  /** How long a statement waits before it takes effect, in milliseconds. */
  readonly statementMs: number;
  /** Is told of a function that gives every database something else. It throws all the same. */
  readonly refused: (error: Error) => void;
}

export interface SqliteOptions {
  /** So many commits come between two after which the disk has everything. */
  readonly syncEvery: number;
  /** Whether rows that a statement does not order come in the opposite order, which SQLite leaves open as well. */
  readonly backwards: boolean;
}

/**
 * A real SQLite database of one replica. It lies in memory: what was committed is kept over the end of a process as the bytes
 * of the file that it would be, so nothing waits for a disk, and the same seed does the same.
 */
export class SimulatedSqlite {
  private readonly make: (database: SimulatedDatabase) => DataSource;
  private readonly backwards: boolean;
  private readonly syncEvery: number;
  private connection: SqliteConnection | undefined;
  private migrations = '';
  private kept: Buffer | undefined;
  private synced: Buffer | undefined;
  private commits = 0;

  constructor(
    make: (database: SimulatedDatabase) => DataSource,
    { syncEvery, backwards }: SqliteOptions,
  ) {
    this.make = make;
    this.syncEvery = syncEvery;
    this.backwards = backwards;
  }

  /** Opens what was kept. */
  async open({ clock, statementMs, refused }: OpenOptions): Promise<DataSource> {
    const connection = openSqlite(this.kept ?? ':memory:');
    this.connection = connection;
    refuseHostFunctions(connection, refused);
    if (this.backwards) connection.exec('PRAGMA reverse_unordered_selects = ON');
    // TypeORM calls it with `new`, which an arrow function cannot be.
    function driver(): SqliteConnection {
      return connection;
    }
    const source = this.make({ type: 'better-sqlite3', database: ':memory:', driver });
    this.migrations = source.options.migrationsTableName ?? 'migrations';
    await source.initialize();
    this.slowDown(source, clock, statementMs);
    return source;
  }

  /** Whether there is a database already, and up to which position of the log it has everything; 0 where it has nothing. */
  get position(): number {
    const known = `SELECT count(*) FROM sqlite_master WHERE name = '${APPLIER_TABLE}'`;
    const { connection } = this;
    if (connection?.prepare(known).pluck().get() !== 1) return 0;
    return Number(connection.prepare(`SELECT position FROM ${APPLIER_TABLE}`).pluck().get() ?? 0);
  }

  /** All rows of the machine's own tables as they are now, also where that is not committed. */
  state(): Uint8Array {
    const connection = this.connection!;
    const tables = connection
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
      .pluck()
      .all() as string[];
    const state: Record<string, object[]> = {};
    for (const table of tables) {
      if (OWN_TABLES.includes(table) || table === this.migrations) continue;
      if (table === 'sqlite_sequence') {
        const rows = `SELECT * FROM ${table} WHERE name <> ? ORDER BY name`;
        const found = connection.prepare(rows).all(this.migrations) as object[];
        if (found.length > 0) state[table] = found;
      } else if (!table.startsWith('sqlite_')) state[table] = rowsOf(connection, table);
    }
    return sqlStates.encode(state);
  }

  /** The process has ended: what was not committed is gone, and with its machine's power or disk more than that. */
  end(loses: 'nothing' | 'unsynced' | 'disk'): void {
    const { connection } = this;
    if (connection?.open === true) {
      if (connection.inTransaction) connection.exec('ROLLBACK');
      this.kept = connection.serialize();
      connection.close();
    }
    this.connection = undefined;
    if (loses === 'disk') this.synced = undefined;
    if (loses !== 'nothing') this.kept = this.synced;
  }

  /**
   * Has statements take time, so that what happens to a replica happens between any two of them. A commit takes effect before
   * its replica hears of it.
   */
  private slowDown(source: DataSource, clock: Clock, ms: number): void {
    const runner = source.createQueryRunner();
    const itself = Object.getPrototypeOf(runner) as { query: Query };
    const committed = (): void => {
      if (++this.commits % this.syncEvery === 0) this.synced = this.connection!.serialize();
    };
    const slow = Object.create(itself, {
      query: {
        configurable: true,
        writable: true,
        async value(this: unknown, sql: string, ...rest: unknown[]) {
          await sleep(clock, ms);
          const result = await Reflect.apply(itself.query, this, [sql, ...rest]);
          if (sql !== 'COMMIT') return result;
          committed();
          await sleep(clock, ms);
          return result;
        },
      },
    });
    // Not as its own property: the guard of statements sets and removes that one.
    Object.setPrototypeOf(runner, slow);
  }
}

type Query = (sql: string, ...rest: unknown[]) => Promise<unknown>;

/** In an order that says nothing of how they came to be there. */
function rowsOf(connection: SqliteConnection, table: string): object[] {
  const name = `"${table.replaceAll('"', '""')}"`;
  const columns = connection.prepare(`PRAGMA table_info(${name})`).all().length;
  const order = Array.from({ length: columns }, (_, i) => i + 1).join(', ');
  return connection.prepare(`SELECT * FROM ${name} ORDER BY ${order}`).all() as object[];
}
