import type { DataSource, EntityManager } from 'typeorm';
import { reasonOf, SerialQueue, VarlogError } from '../../base/index.ts';
import {
  type CheckpointOwner,
  checkOwner,
  isDone,
  type TransactionalCheckpointStore,
  type TransactionMarks,
  withDone,
  withParked,
} from '../consumer/index.ts';

const TABLE = 'varlog_consumer';
const HANDLER = 'varlog_handler';
const CREATE = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  name varchar(200) NOT NULL PRIMARY KEY,
  log varchar(200) NOT NULL,
  epoch bigint NOT NULL,
  position bigint NOT NULL,
  done text NOT NULL,
  parked text NOT NULL
)`;

/** A DataSource of SQLite has one connection: a transaction that comes meanwhile would become a part of the other. */
const turnsOf = new WeakMap<DataSource, SerialQueue>();
/** A DataSource that is initialized twice at once loses the connections of one of the two. */
const opening = new WeakMap<DataSource, Promise<unknown>>();

interface Row {
  readonly name: string;
  readonly log: string;
  // Postgres hands out a bigint as text.
  readonly epoch: number | string;
  readonly position: number | string;
  readonly done: string;
  readonly parked: string;
}

/**
 * Keeps how far consumers are in a table of the user's database, a row each, which is changed in the transactions in
 * which handlers write. Positions are whole numbers below 2^53, which `bigint` columns of SQLite and Postgres keep
 * exactly.
 */
export class SqlCheckpointStore implements TransactionalCheckpointStore<EntityManager> {
  private readonly dataSource: DataSource;
  private readonly isSqlite: boolean;
  private readonly turns: SerialQueue | undefined;

  /** Throws `INVALID_ARGUMENT` for a database that has not been tested to keep positions exactly. */
  constructor(dataSource: DataSource) {
    const { type } = dataSource.options;
    if (type !== 'better-sqlite3' && type !== 'postgres') {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `a consumer cannot keep its checkpoint in a database of type ${type}`,
        next: 'use better-sqlite3 or postgres',
      });
    }
    this.dataSource = dataSource;
    this.isSqlite = type === 'better-sqlite3';
    if (!this.isSqlite) return;
    this.turns = turnsOf.get(dataSource) ?? new SerialQueue();
    turnsOf.set(dataSource, this.turns);
  }

  async open(
    owner: CheckpointOwner,
    parked: readonly number[],
  ): Promise<TransactionMarks | undefined> {
    const { dataSource } = this;
    await initialized(dataSource);
    await this.makeTable();
    return this.transaction(async (manager) => {
      const marks = await this.lock(manager, owner);
      if (marks === undefined) return undefined;
      const kept = { ...marks, parked: marks.parked.filter((it) => parked.includes(it)) };
      await this.write(manager, owner, kept);
      return kept;
    });
  }

  async save(owner: CheckpointOwner, position: number): Promise<void> {
    await this.transaction(async (manager) => {
      const marks = await this.lock(manager, owner);
      const { parked = [] } = marks ?? {};
      if (marks === undefined) {
        await this.query(
          manager,
          `INSERT INTO ${TABLE} (name, log, epoch, position, done, parked) VALUES ($1, $2, $3, $4, $5, $6)`,
          [owner.consumer, owner.log, owner.epoch, position, '[]', '[]'],
        );
      } else {
        await this.write(manager, owner, { position, done: [], parked });
      }
    });
  }

  async transact(
    owner: CheckpointOwner,
    glsn: number,
    work: (transaction: EntityManager) => Promise<void>,
  ): Promise<void> {
    await this.transaction(async (manager) => {
      // With one writer at a time it is locked from the start; otherwise only to be changed, so that work goes on beside.
      const before = this.isSqlite
        ? await this.lock(manager, owner)
        : await this.read(manager, owner);
      if (before === undefined) throw this.rowIsGone(owner);
      if (isDone(before, glsn)) return;
      await this.handle(manager, work);
      const marks = await this.lock(manager, owner);
      if (marks === undefined) throw this.rowIsGone(owner);
      await this.write(manager, owner, withDone(marks, glsn));
    });
  }

  /**
   * Rejects where the handler ended the transaction: the note that the record is done would be kept by itself. Only a
   * savepoint tells, since a transaction can also be ended, and another begun, by a statement.
   */
  private async handle(
    manager: EntityManager,
    work: (transaction: EntityManager) => Promise<void>,
  ): Promise<void> {
    await manager.query(`SAVEPOINT ${HANDLER}`);
    try {
      await work(manager);
      await manager.query(`RELEASE SAVEPOINT ${HANDLER}`).catch((cause: unknown) => {
        throw transactionIsGone(cause);
      });
    } catch (error) {
      // TypeORM has not seen a statement that ended its transaction. SQLite refuses to roll back none, and TypeORM
      // would take the next transaction for a part of this one; so there has to be one. It mostly is there.
      if (this.isSqlite && manager.queryRunner?.isTransactionActive === true)
        await manager.query('BEGIN').catch(() => {});
      throw error;
    }
  }

  async park(owner: CheckpointOwner, glsn: number): Promise<void> {
    await this.transaction(async (manager) => {
      const marks = await this.lock(manager, owner);
      if (marks === undefined) throw this.rowIsGone(owner);
      await this.write(manager, owner, withParked(marks, glsn));
    });
  }

  /** Nothing is made where the table is there: who uses it need not have the right to. */
  private async makeTable(): Promise<void> {
    const { dataSource } = this;
    const look = (): Promise<unknown> => dataSource.query(`SELECT 1 FROM ${TABLE} WHERE 1 = 0`);
    try {
      await look();
    } catch {
      // Postgres refuses one of two that make it at the same moment, although both say IF NOT EXISTS.
      await dataSource.query(CREATE).catch((error: unknown) =>
        look().catch(() => {
          throw error;
        }),
      );
    }
  }

  /** Keeps all others from changing the row until the transaction ends. */
  private async lock(
    manager: EntityManager,
    owner: CheckpointOwner,
  ): Promise<TransactionMarks | undefined> {
    // A write, because on SQLite it takes the lock that a read would have to be upgraded to.
    const sql = `UPDATE ${TABLE} SET epoch = epoch WHERE name = $1`;
    await this.query(manager, sql, [owner.consumer]);
    return this.read(manager, owner);
  }

  /** Throws `LOG_MISMATCH` and `CONSUMER_FENCED`. */
  private async read(
    manager: EntityManager,
    owner: CheckpointOwner,
  ): Promise<TransactionMarks | undefined> {
    const sql = `SELECT name, log, epoch, position, done, parked FROM ${TABLE} WHERE name = $1`;
    const [row] = await this.query<Row>(manager, sql, [owner.consumer]);
    if (row === undefined) return undefined;
    checkOwner({ log: row.log, consumer: row.name, epoch: Number(row.epoch) }, owner);
    return {
      position: Number(row.position),
      done: JSON.parse(row.done) as number[],
      parked: JSON.parse(row.parked) as number[],
    };
  }

  private async write(
    manager: EntityManager,
    { consumer, epoch }: CheckpointOwner,
    { position, done, parked }: TransactionMarks,
  ): Promise<void> {
    await this.query(
      manager,
      `UPDATE ${TABLE} SET epoch = $1, position = $2, done = $3, parked = $4 WHERE name = $5`,
      [epoch, position, JSON.stringify(done), JSON.stringify(parked), consumer],
    );
  }

  private transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const run = (): Promise<T> => this.dataSource.transaction(work);
    return this.turns === undefined ? run() : this.turns.run(run);
  }

  private query<Found>(
    manager: EntityManager,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<Found[]> {
    const statement = this.isSqlite ? sql.replaceAll(/\$\d+/g, '?') : sql;
    return manager.query(statement, [...parameters]);
  }

  private rowIsGone({ consumer }: CheckpointOwner): VarlogError {
    return new VarlogError('LOG_MISMATCH', {
      what: `the row of consumer "${consumer}" in ${TABLE} is gone`,
      because: 'somebody emptied this database or put another in its place',
      next: 'bring it back; or remove the consumer ("varlog consumer rm") to have it begin anew',
    });
  }
}

function transactionIsGone(cause: unknown): VarlogError {
  return new VarlogError('HANDLER_FAILED', {
    what: 'what the handler wrote cannot be committed together with the note that its record is done',
    because: `its transaction failed or was ended (${reasonOf(cause)})`,
    next: 'have the handler throw where something fails; it must neither commit nor roll back its transaction',
    cause,
  });
}

async function initialized(dataSource: DataSource): Promise<void> {
  if (dataSource.isInitialized) return;
  const begun = opening.get(dataSource) ?? dataSource.initialize();
  opening.set(dataSource, begun);
  try {
    await begun;
  } finally {
    opening.delete(dataSource);
  }
}
