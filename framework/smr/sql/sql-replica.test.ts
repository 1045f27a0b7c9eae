import fc from 'fast-check';
import { firstValueFrom } from 'rxjs';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import { ApplierTables } from './applier-tables.ts';
import { Counter, MIGRATIONS, valueIn } from './counter.fixture.ts';
import { dialectOf } from './dialect.ts';
import { startSqlReplica } from './index.ts';

/** The next transactions are committed, but the answer of the database is lost. */
function loseCommits(dataSource: DataSource, count: number, skipped = 0): void {
  const { transaction } = DataSource.prototype;
  let seen = 0;
  dataSource.transaction = async (...args: unknown[]) => {
    const result = await (transaction as (...given: unknown[]) => Promise<unknown>).apply(
      dataSource,
      args,
    );
    if (++seen > skipped && seen <= skipped + count)
      throw new Error('the connection broke behind the commit');
    return result as never;
  };
}

function suite(databases: SuiteDatabases): void {
  const sourceOf = (database: DataSourceOptions): DataSource =>
    databases.sourceOf(database, MIGRATIONS);
  const fresh = async (): Promise<DataSource> => sourceOf(await databases.fresh());

  test('a command takes effect once, whatever appends and transactions suffer, across restarts', async () => {
    const appends = fc.constantFrom('refused', 'unknownApplied', 'unknownLate', 'unknownLost');
    const crashes = fc.constantFrom('never', 'before', 'between', 'after');
    await fc.assert(
      fc.asyncProperty(
        fc.array(appends, { maxLength: 5 }),
        fc.array(crashes, { maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 3 }),
        async (faults, failures, batchMax, lostCommits) => {
          const log = new MemoryLog();
          const dataSource = await fresh();
          const machine = new Counter();
          let expected = 0;
          for (let start = 0; start < 2; start++) {
            await using counter = await startSqlReplica({ machine, dataSource, log, batchMax });
            log.failNext(...faults);
            machine.failures = [...failures];
            loseCommits(dataSource, lostCommits);
            const results = await Promise.all([1, 2, 3].map(() => counter.execute({ add: 1 })));
            expect(results.sort((a, b) => a - b)).toEqual([1, 2, 3].map((it) => it + expected));
            expected += 3;
            expect(await counter.query(valueIn)).toBe(expected);
            loseCommits(dataSource, 0);
          }
        },
      ),
      { numRuns: 8 },
    );
  }, 120_000);

  test('a transaction whose commit was not acknowledged is not repeated', async () => {
    const log = new MemoryLog();
    const source = await startSqlReplica({
      machine: new Counter(),
      dataSource: await fresh(),
      log,
    });
    await Promise.all([1, 2, 3].map(() => source.execute({ add: 1 })));
    await source.close();
    const machine = new Counter();
    const dataSource = await fresh();
    // Three transactions take the database over, the fourth applies all that is in the log.
    loseCommits(dataSource, 1, 3);
    await using late = await startSqlReplica({ machine, dataSource, log });
    await late.caughtUp();
    expect(await late.query(valueIn)).toBe(3);
    expect(machine.calls).toBe(3);
  });

  test('a new process goes on behind the last command and knows old results', async () => {
    const log = new MemoryLog();
    const database = await databases.fresh();
    const machine = new Counter();
    const first = await startSqlReplica({ machine, dataSource: sourceOf(database), log });
    await first.execute({ add: 5 });
    await first.close();
    const append = (await following(log)).at(-1) as Uint8Array;
    // The same entry once more: what a client does that never got its answer.
    await log.append([append]);
    await using second = await startSqlReplica({ machine, dataSource: sourceOf(database), log });
    await second.caughtUp();
    expect(await second.query(valueIn)).toBe(5);
    expect(machine.calls).toBe(1);
    expect(second.position).toBe(await log.tail());
  });

  test('a command that cannot be applied stops the replica, is not skipped, and is resumed with', async () => {
    const log = new MemoryLog();
    const dataSource = await fresh();
    const machine = new Counter();
    const broken = await startSqlReplica({ machine, dataSource, log, attemptsMax: 2 });
    await broken.execute({ add: 1 });
    machine.failures = ['between', 'after'];
    const stuck = broken.execute({ add: 1 });
    await expect(stuck).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      cause: { details: { attempts: 2 } },
    });
    await expect(broken.execute({ add: 1 })).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    expect(await valueIn(dataSource.manager)).toBe(1);
    await using mended = await startSqlReplica({ machine, dataSource, log });
    expect(await mended.execute({ add: 1 })).toBe(3);
  });

  test('positions are exact up to 2^53 - 1', async () => {
    const dataSource = await (await fresh()).initialize();
    await dataSource.runMigrations();
    const tables = new ApplierTables(dialectOf(dataSource));
    await tables.dedicate(dataSource.manager, { machine: 'exact', log: 'some' });
    for (const position of [2 ** 53 - 1, 2 ** 53 - 2, 2 ** 31, 2 ** 32 + 1]) {
      const all = { position, forgotten: position, seen: position, timersMade: position };
      const progress = { ...all, time: 1.5, skipped: [1], skippedTimers: [position] };
      await tables.advance(dataSource.manager, progress);
      expect(await tables.lock(dataSource.manager, 0)).toEqual(progress);
      const text = await dataSource.query(
        'SELECT CAST(position AS varchar(20)) AS text FROM varlog_applier',
      );
      expect(text[0].text).toBe(String(position));
    }
  });

  test('migrations go up, down and up again', async () => {
    const dataSource = await (await fresh()).initialize();
    await dataSource.runMigrations({ transaction: 'each' });
    for (const _ of MIGRATIONS) await dataSource.undoLastMigration({ transaction: 'each' });
    await expect(dataSource.query('SELECT * FROM varlog_applier')).rejects.toThrow();
    await dataSource.runMigrations({ transaction: 'each' });
    expect(await dataSource.query('SELECT * FROM varlog_applier')).toEqual([]);
  });

  test('what others wrote into the log is passed over and counted', async () => {
    const log = new MemoryLog();
    const other = await startSqlReplica({
      machine: new Counter(),
      dataSource: await fresh(),
      log,
      name: 'other',
    });
    const machine = new Counter();
    await using counter = await startSqlReplica({ machine, dataSource: await fresh(), log });
    await other.execute({ add: 5 });
    await log.append([new Uint8Array(), Buffer.from('{"add":7}'), new Uint8Array(100).fill(1)]);
    machine.failures = ['before'];
    expect(await counter.execute({ add: 1 })).toBe(1);
    const status = await firstValueFrom(counter.status$);
    // The other's session and its command, and three that are nobody's.
    expect(status).toMatchObject({ state: 'running', foreign: 5, position: await log.tail() });
    expect(await other.query(valueIn)).toBe(5);
    await other.close();
  });

  test('a log whose head is gone is refused, not skipped', async () => {
    const log = new MemoryLog();
    await log.append([new Uint8Array(1)]);
    await log.compact(1, new Uint8Array());
    await using counter = await startSqlReplica({
      machine: new Counter(),
      dataSource: await fresh(),
      log,
    });
    await expect(counter.execute({ add: 1 })).rejects.toMatchObject({ code: 'TRIMMED' });
  });
}

async function following(log: MemoryLog): Promise<Uint8Array[]> {
  for await (const it of log.follow(1)) {
    if (it.kind === 'entries') return it.entries.map(({ command }) => command);
  }
  return [];
}

function sqliteSuite(databases: SuiteDatabases): void {
  test('synchronize is refused', async () => {
    const database = { ...(await databases.fresh()), synchronize: true } as DataSourceOptions;
    const dataSource = databases.sourceOf(database, MIGRATIONS);
    const start = startSqlReplica({ machine: new Counter(), dataSource, log: new MemoryLog() });
    await expect(start).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a reader sees committed commands while a transaction is open', async () => {
    const log = new MemoryLog();
    const database = await databases.fresh();
    const reader = databases.sourceOf(database, []);
    const dataSource = databases.sourceOf(database, MIGRATIONS);
    await using counter = await startSqlReplica({
      machine: new Counter(),
      dataSource,
      reader,
      log,
    });
    await counter.execute({ add: 2 });
    const seen = await dataSource.transaction(async (manager) => {
      await manager.query('UPDATE counter SET value = 100');
      return counter.query(valueIn);
    });
    expect(seen).toBe(2);
    await counter.close();
  });
}

onEachDatabase('a replica', suite, { sqlite: sqliteSuite });
