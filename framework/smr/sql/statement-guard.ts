import type { EntityManager } from 'typeorm';
import { SerialQueue, VarlogError } from '../../base/index.ts';
import type { Dialect } from './dialect.ts';

const COMMAND = 'varlog_command';
const STATEMENT = 'varlog_statement';

/**
 * Runs `apply` so that a machine which catches the error of a statement gets the same on every
 * database: that statement is undone, what it did before stays, and it can go on. An error that other
 * replicas need not meet (a lost connection, a full disk) fails the command even when it was caught.
 */
export async function applyGuarded<T>(
  manager: EntityManager,
  dialect: Dialect,
  apply: () => Promise<T>,
): Promise<T> {
  const guard = new StatementGuard(manager, dialect);
  if (dialect.undoesFailedStatements) {
    const result = await guard.watch(apply);
    if (!(await dialect.isOpen(manager))) throw transactionEnded();
    return result;
  }
  await manager.query(`SAVEPOINT ${COMMAND}`);
  let result: T | undefined;
  try {
    result = await guard.watch(apply);
  } catch (error) {
    // Nobody caught it, so nothing depends on what the database does behind it.
    if (guard.met === undefined || guard.met === error) throw error;
  }
  if (guard.met !== undefined) {
    // The failure took the transaction with it. Few commands meet one, so only now, and only for this
    // command, each statement pays for a savepoint of its own.
    await manager.query(`ROLLBACK TO SAVEPOINT ${COMMAND}`);
    result = await guard.watch(apply, true);
  }
  await manager.query(`RELEASE SAVEPOINT ${COMMAND}`).catch((cause: unknown) => {
    // There is no transaction, or another one than that in which the savepoint was made.
    const { code } = cause as { code?: unknown };
    throw code === '25P01' || code === '3B001' ? transactionEnded() : cause;
  });
  return result as T;
}

class StatementGuard {
  /** The first failure of a statement that all replicas have in common. */
  met: unknown;
  private readonly manager: EntityManager;
  private readonly dialect: Dialect;
  private readonly turns = new SerialQueue();
  /** In an object, because anything can be thrown. */
  private fatal: { readonly error: unknown } | undefined;

  constructor(manager: EntityManager, dialect: Dialect) {
    this.manager = manager;
    this.dialect = dialect;
  }

  /** With `savepoints`, a statement that fails is undone alone. */
  async watch<T>(apply: () => Promise<T>, savepoints = false): Promise<T> {
    const runner = this.manager.queryRunner as unknown as { query: Query };
    const query: Query = (...statement) => Reflect.apply(original, runner, statement);
    const { query: original } = runner;
    const undone = savepoints || this.dialect.undoesFailedStatements;
    this.met = undefined;
    let running = 0;
    const watched: Query = async (sql, ...rest) => {
      if (this.fatal !== undefined) throw this.fatal.error;
      running++;
      try {
        if (!savepoints || isOfTransaction(sql)) return await query(sql, ...rest);
        return await this.turns.run(() => withSavepoint(query, sql, rest));
      } catch (error) {
        // Once a statement took the transaction with it, all others fail too, and say nothing.
        if (undone || this.met === undefined) await this.note(error);
        throw error;
      } finally {
        running--;
      }
    };
    runner.query = watched;
    try {
      const result = await apply();
      if (this.fatal !== undefined) throw this.fatal.error;
      if (running > 0) throw notAwaited();
      return result;
    } finally {
      // The method of its class comes into view again.
      Reflect.deleteProperty(runner, 'query');
    }
  }

  private async note(error: unknown): Promise<void> {
    if (this.dialect.isOfStatement(error) && (await this.dialect.isOpen(this.manager)))
      this.met ??= error;
    else this.fatal ??= { error };
  }
}

type Query = (sql: string, ...rest: unknown[]) => Promise<unknown>;

async function withSavepoint(query: Query, sql: string, rest: unknown[]): Promise<unknown> {
  await query(`SAVEPOINT ${STATEMENT}`);
  try {
    const result = await query(sql, ...rest);
    await query(`RELEASE SAVEPOINT ${STATEMENT}`);
    return result;
  } catch (error) {
    await query(`ROLLBACK TO SAVEPOINT ${STATEMENT}`);
    await query(`RELEASE SAVEPOINT ${STATEMENT}`);
    throw error;
  }
}

/** Savepoints of the machine's own must not end inside one of a statement. */
function isOfTransaction(sql: string): boolean {
  return /^\s*(SAVEPOINT|RELEASE|ROLLBACK)\b/i.test(sql);
}

/** What runs after the end of a command is a part of whichever comes next: of another on each replica. */
function notAwaited(): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: 'the machine answered before its statements had ended',
    next: 'await every statement in `apply`',
  });
}

/** What it wrote would be kept, or lost, apart from the position up to which the log has been applied. */
function transactionEnded(): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: 'the machine ended the transaction that it was given',
    next: 'neither commit nor roll back in `apply`: undo a part with `manager.transaction`, and refuse a command by a result',
  });
}
