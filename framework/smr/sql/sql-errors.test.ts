import { DataSource, type EntityManager, type MigrationInterface, type QueryRunner } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import type { ApplyContext } from '../index.ts';
import { type SqlStateMachine, sqlReplicaMigrations, startSqlReplica } from './index.ts';

class CreateNotes1700000000002 implements MigrationInterface {
  readonly name = 'CreateNotes1700000000002';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE note (id int PRIMARY KEY, text varchar(50) NOT NULL)');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE note');
  }
}

type Step = 'insert' | 'insert again' | 'no such table' | 'nested' | 'draw' | 'break' | 'crash';

/** Takes steps, each of which may fail, and goes on after all that it can catch. */
class Careless implements SqlStateMachine<Step[], string[]> {
  /** The next so many steps `break` meet an error that no other replica has. */
  breaks = 0;
  /** Beyond the last step, the machine throws so many times. */
  crashes = 0;
  private next = 0;

  async apply(steps: Step[], manager: EntityManager, context: ApplyContext): Promise<string[]> {
    const outcomes: string[] = [];
    this.next = context.position * 100;
    for (const step of steps) {
      try {
        outcomes.push(await this.take(step, manager, context));
      } catch {
        outcomes.push(`${step} failed`);
      }
    }
    const [{ count }] = await manager.query('SELECT count(*) AS count FROM note');
    if (steps.includes('crash') && this.crashes-- > 0) throw new Error('a crash');
    return [...outcomes, String(count)];
  }

  private async take(step: Step, manager: EntityManager, context: ApplyContext): Promise<string> {
    const insert = (id: number, text: string): Promise<unknown> =>
      manager.query(`INSERT INTO note VALUES (${id}, '${text}')`);
    if (step === 'insert') await insert(this.next++, step);
    if (step === 'insert again') await insert(this.next - 1, step);
    if (step === 'no such table') await manager.query('SELECT * FROM no_such_table');
    if (step === 'draw') await insert(this.next++, `${context.random()} at ${context.time}`);
    if (step === 'nested')
      await manager.transaction(async (inner) => {
        await inner.query(`INSERT INTO note VALUES (${this.next++}, 'undone')`);
        await inner.query(`INSERT INTO note VALUES (${this.next - 1}, 'twice')`);
      });
    if (step === 'break' && this.breaks-- > 0) await lost(manager);
    return step;
  }
}

/** What a statement meets whose connection is lost, as far as its caller can tell. */
async function lost(manager: EntityManager): Promise<void> {
  const connection: object = await (manager.queryRunner as QueryRunner).connect();
  const method = 'prepare' in connection ? 'prepare' : 'query';
  Object.assign(connection, {
    [method]: () => {
      Reflect.deleteProperty(connection, method);
      throw Object.assign(new Error('the connection is lost'), { code: 'ECONNRESET' });
    },
  });
  await manager.query('SELECT 1 AS lost');
}

function suite(databases: SuiteDatabases): void {
  const fresh = async (): Promise<DataSource> => {
    const migrations = [...sqlReplicaMigrations, CreateNotes1700000000002];
    return databases.sourceOf(await databases.fresh(), migrations);
  };
  const notesIn = async (manager: EntityManager): Promise<string[]> =>
    (await manager.query('SELECT text FROM note ORDER BY id')).map(
      (it: { text: string }) => it.text,
    );

  test('a statement whose error is caught is undone alone, and the command goes on', async () => {
    const dataSource = await fresh();
    const options = { machine: new Careless(), dataSource, log: new MemoryLog(), attemptsMax: 2 };
    await using notes = await startSqlReplica(options);
    const together = [
      notes.execute(['insert', 'insert again', 'insert']),
      notes.execute(['no such table', 'insert']),
      notes.execute(['nested', 'insert', 'insert again']),
      notes.execute(['insert']),
    ];
    expect(await Promise.all(together)).toEqual([
      ['insert', 'insert again failed', 'insert', '2'],
      ['no such table failed', 'insert', '3'],
      ['nested failed', 'insert', 'insert again failed', '4'],
      ['insert', '5'],
    ]);
    expect(await notes.query(notesIn)).toEqual(Array(5).fill('insert'));
  });

  test('an error of this database alone never becomes a result, not even where it is caught', async () => {
    const log = new MemoryLog();
    const machine = new Careless();
    await using one = await startSqlReplica({ machine, dataSource: await fresh(), log });
    machine.breaks = 3;
    const commands: Step[][] = [
      ['insert', 'break', 'insert'],
      ['insert again', 'insert', 'insert again', 'break', 'insert'],
    ];
    const results = await Promise.all(commands.map((it) => one.execute(it)));
    expect(results[0]).toEqual(['insert', 'break', 'insert', '2']);
    const dataSource = await fresh();
    await using two = await startSqlReplica({ machine: new Careless(), dataSource, log });
    expect(await two.query(notesIn)).toEqual(await one.query(notesIn));
  });

  test('a machine that does not await its statements is refused by name', async () => {
    const machine: SqlStateMachine<number, number> = {
      apply: async (id, manager) => {
        void manager.query(`INSERT INTO note VALUES (${id}, 'late')`).catch(() => {});
        return id;
      },
    };
    const dataSource = await fresh();
    await using notes = await startSqlReplica({ machine, dataSource, log: new MemoryLog() });
    const failed = await notes.execute(1).catch((it: Error) => it.cause as Error);
    expect(failed).toMatchObject({ code: 'APPLY_FAILED', details: { position: 2 } });
    expect(String((failed as Error).cause)).toContain('await every statement');
  });

  test.each(['ROLLBACK', 'COMMIT'])(
    'a machine that ends its transaction is refused: %s',
    async (end) => {
      const machine: SqlStateMachine<number, number> = {
        apply: async (id, manager) => {
          await manager.query(`INSERT INTO note VALUES (${id}, 'alone')`);
          if (id === 2) await manager.query(end);
          return id;
        },
      };
      const dataSource = await fresh();
      const log = new MemoryLog();
      await using notes = await startSqlReplica({ machine, dataSource, log });
      await notes.execute(1);
      const failed = await notes.execute(2).catch((it: Error) => it.cause as Error);
      expect(failed).toMatchObject({ code: 'APPLY_FAILED', details: { position: 3 } });
      expect(String((failed as Error).cause)).toContain('neither commit nor roll back');
    },
  );

  test('an attempt that is repeated draws the same numbers and sees the same time', async () => {
    const log = new MemoryLog();
    const machine = new Careless();
    await using one = await startSqlReplica({ machine, dataSource: await fresh(), log });
    machine.crashes = 1;
    await one.execute(['draw', 'draw', 'crash']);
    machine.breaks = 2;
    await Promise.all([
      one.execute(['draw', 'draw', 'break']),
      one.execute(['draw', 'insert again', 'draw']),
      one.execute(['insert', 'insert again', 'draw', 'break', 'draw']),
    ]);
    const dataSource = await fresh();
    await using two = await startSqlReplica({ machine: new Careless(), dataSource, log });
    expect(await two.query(notesIn)).toEqual(await one.query(notesIn));
  });
}

function sqliteSuite(databases: SuiteDatabases): void {
  test('a transaction that the database ended by itself is not taken for the start of a larger one', async () => {
    const database = await databases.fresh();
    const migrations = [...sqlReplicaMigrations, CreateNotes1700000000002];
    const dataSource = databases.sourceOf(database, migrations);
    let failures = 2;
    const machine: SqlStateMachine<number, number> = {
      apply: async (id, manager) => {
        await manager.query(`INSERT INTO note VALUES (${id}, 'kept')`);
        // As a full disk does it; the next attempt fails as well, in an ordinary way.
        if (id === 2 && failures === 2) await manager.query('ROLLBACK');
        if (id === 2 && failures-- > 0) throw new Error('the disk is full');
        return id;
      },
    };
    const notes = await startSqlReplica({ machine, dataSource, log: new MemoryLog() });
    for (const id of [1, 2, 3]) expect(await notes.execute(id)).toBe(id);
    const other = await databases.sourceOf(database, []).initialize();
    expect(await other.query('SELECT id FROM note ORDER BY id')).toHaveLength(3);
    await notes.close();
  });
}

onEachDatabase('errors of statements', suite, { sqlite: sqliteSuite });

test('a DataSource without the tables of a replica is refused, with what to do', async () => {
  const dataSource = new DataSource({ type: 'better-sqlite3', database: ':memory:' });
  const starting = startSqlReplica({ machine: new Careless(), dataSource, log: new MemoryLog() });
  await expect(starting).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('sqlReplicaMigrations'),
  });
  if (dataSource.isInitialized) await dataSource.destroy();
});
