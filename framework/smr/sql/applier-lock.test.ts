import { symlinkSync } from 'node:fs';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import { Counter, MIGRATIONS, valueIn } from './counter.fixture.ts';
import { type SqlReplica, startSqlReplica } from './index.ts';

type Counting = SqlReplica<{ add: number }, number>;

function suite(databases: SuiteDatabases): void {
  const running: Counting[] = [];
  const sourceOf = (database: DataSourceOptions): DataSource =>
    databases.sourceOf(database, MIGRATIONS);
  const start = async (
    dataSource: DataSource,
    log: MemoryLog,
    more: { name?: string; takeOverMs?: number } = {},
  ): Promise<Counting> => {
    const machine = new Counter();
    const replica = await startSqlReplica({ machine, dataSource, log, takeOverMs: 200, ...more });
    running.push(replica);
    return replica;
  };
  afterEach(async () => {
    for (const it of running.splice(0)) await it.close();
  });
  const failureOf = (replica: Counting): Promise<unknown> =>
    new Promise((resolve) => {
      replica.status$.subscribe(({ state, error }) => {
        if (state === 'failed') resolve(error);
      });
    });

  test("another log's database is refused, and so is another machine's", async () => {
    const database = await databases.fresh();
    const log = new MemoryLog();
    const first = await start(sourceOf(database), log, { name: 'counter' });
    await first.execute({ add: 1 });
    await first.close();
    const other = new MemoryLog();
    const identities = [await log.identity(), await other.identity()];
    for (const [wrongLog, name] of [
      [other, 'counter'],
      [log, 'ledger'],
    ] as const) {
      const refused = start(sourceOf(database), wrongLog, { name });
      await expect(refused).rejects.toMatchObject({ code: 'LOG_MISMATCH' });
      await expect(refused).rejects.toThrow(wrongLog === other ? identities[1] : '"ledger"');
      await expect(refused).rejects.toThrow(wrongLog === other ? identities[0] : '"counter"');
      await expect(refused).rejects.toThrow('move the old state away');
    }
    const again = await start(sourceOf(database), log, { name: 'counter' });
    expect(await again.execute({ add: 1 })).toBe(2);
  });

  test('a refused database is left as it was', async () => {
    const database = await databases.fresh();
    const mine = await databases.sourceOf(database, MIGRATIONS.slice(0, 1)).initialize();
    await mine.runMigrations();
    await mine.query(
      `INSERT INTO varlog_applier (machine, log, position, time, forgotten, seen, skipped, owner, holder, challenge, answer)
       VALUES ('other', 'another log', 0, 0, 0, 0, '[]', 0, '', 0, 0)`,
    );
    await expect(start(sourceOf(database), new MemoryLog())).rejects.toMatchObject({
      code: 'LOG_MISMATCH',
    });
    await expect(mine.query('SELECT * FROM counter')).rejects.toThrow();
  });

  test('a log that ends before the position of the database is refused', async () => {
    const database = await databases.fresh();
    const log = new MemoryLog();
    const first = await start(sourceOf(database), log);
    for (let i = 0; i < 5; i++) await first.execute({ add: 1 });
    await first.close();
    const shorter = new MemoryLog({ identity: await log.identity() });
    await shorter.append([new Uint8Array(1)]);
    const refused = await start(sourceOf(database), shorter);
    await expect(refused.query(valueIn)).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
  });

  test('two replicas on one DataSource are refused, until the first is closed', async () => {
    const log = new MemoryLog();
    const source = sourceOf(await databases.fresh());
    const first = await start(source, log);
    await expect(start(source, log)).rejects.toMatchObject({ code: 'ANOTHER_APPLIER' });
    expect(await first.execute({ add: 1 })).toBe(1);
    const closing = first.close();
    const second = await start(source, log);
    await closing;
    expect(await second.execute({ add: 1 })).toBe(2);
  });

  test('of several that start on one DataSource at once, one does', async () => {
    const source = sourceOf(await databases.fresh());
    const log = new MemoryLog();
    const started = await Promise.allSettled([1, 2, 3].map(() => start(source, log)));
    expect(started.filter((it) => it.status === 'fulfilled')).toHaveLength(1);
    expect(await running[0]!.execute({ add: 1 })).toBe(1);
  });

  test('the writer is no reader', async () => {
    const dataSource = sourceOf(await databases.fresh());
    const options = { machine: new Counter(), dataSource, reader: dataSource };
    const refused = startSqlReplica({ ...options, log: new MemoryLog() });
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a database is taken over from an applier that does not answer, and that one is fenced', async () => {
    const database = await databases.fresh();
    const log = new MemoryLog();
    const first = await start(sourceOf(database), log);
    await first.execute({ add: 1 });
    const fenced = failureOf(first);
    // What a process does that comes while this one stands still.
    const other = await databases.sourceOf(database, []).initialize();
    await other.query("UPDATE varlog_applier SET owner = owner + 1, holder = 'another'");
    expect(await fenced).toMatchObject({ code: 'ANOTHER_APPLIER' });
    await expect(first.execute({ add: 1 })).rejects.toMatchObject({ code: 'ANOTHER_APPLIER' });
    await first.close();
    // The other one is killed, so it will never answer.
    const second = await start(sourceOf(database), log);
    expect(await second.execute({ add: 1 })).toBe(2);
  });

  test('an applier that was fenced commits nothing more', async () => {
    const database = await databases.fresh();
    const log = new MemoryLog();
    // It is not going to look by itself whether it is fenced.
    const first = await start(sourceOf(database), log, { takeOverMs: 1e9 });
    await first.execute({ add: 1 });
    const other = await databases.sourceOf(database, []).initialize();
    await other.query('UPDATE varlog_applier SET owner = owner + 1');
    await expect(first.execute({ add: 1 })).rejects.toMatchObject({ code: 'ANOTHER_APPLIER' });
    expect(await valueIn(other.manager)).toBe(1);
  });

  test('what is done exclusively takes effect as a whole, and only where nobody has taken over', async () => {
    const database = await databases.fresh();
    const log = new MemoryLog();
    const first = await start(sourceOf(database), log, { takeOverMs: 1e9 });
    const other = await databases.sourceOf(database, []).initialize();
    await other.query('CREATE TABLE note (text varchar)');
    const note = (text: string) =>
      first.exclusively((manager) => manager.query(`INSERT INTO note VALUES ('${text}')`));
    const notes = () => other.query('SELECT text FROM note');
    await note('mine');
    const failing = first.exclusively(async (manager) => {
      await manager.query("INSERT INTO note VALUES ('half')");
      throw new Error('failed halfway');
    });
    await expect(failing).rejects.toThrow('failed halfway');
    expect(await first.execute({ add: 1 })).toBe(1);
    await other.query('UPDATE varlog_applier SET owner = owner + 1');
    await expect(note('late')).rejects.toMatchObject({ code: 'ANOTHER_APPLIER' });
    await first.close();
    await expect(note('closed')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await notes()).toEqual([{ text: 'mine' }]);
  });
}

function sqliteSuite(databases: SuiteDatabases): void {
  test('two DataSources on one file are refused, by whatever name it goes', async () => {
    const log = new MemoryLog();
    const database = await databases.fresh();
    const path = database.database as string;
    const first = databases.sourceOf(database, MIGRATIONS);
    await using counter = await startSqlReplica({ machine: new Counter(), dataSource: first, log });
    await counter.execute({ add: 1 });
    symlinkSync(path, `${path}.link`);
    for (const database of [path, `${path}.link`]) {
      const dataSource = databases.sourceOf({ type: 'better-sqlite3', database }, MIGRATIONS);
      const refused = startSqlReplica({ machine: new Counter(), dataSource, log });
      await expect(refused).rejects.toMatchObject({ code: 'ANOTHER_APPLIER' });
      await expect(refused).rejects.toThrow(path);
      await dataSource.destroy();
    }
    expect(await counter.execute({ add: 1 })).toBe(2);
    await counter.close();
  });
}

function postgresSuite(databases: SuiteDatabases): void {
  test('one that comes later is refused while the earlier one lives, however often it tries', async () => {
    const log = new MemoryLog();
    const database = await databases.fresh();
    const sources = [1, 2].map(() => databases.sourceOf(database, MIGRATIONS));
    const [one, two] = sources as [DataSource, DataSource];
    const options = { machine: new Counter(), log, takeOverMs: 5_000 };
    await using first = await startSqlReplica({ ...options, dataSource: one });
    for (let i = 1; i <= 3; i++) {
      const refused = startSqlReplica({ ...options, dataSource: two });
      await expect(refused).rejects.toMatchObject({ code: 'ANOTHER_APPLIER' });
      expect(await first.execute({ add: 1 })).toBe(i);
    }
    await first.close();
    const second = await startSqlReplica({ ...options, dataSource: two });
    expect(await second.execute({ add: 1 })).toBe(4);
    await second.close();
  });
}

onEachDatabase('who applies,', suite, { sqlite: sqliteSuite, postgres: postgresSuite });
