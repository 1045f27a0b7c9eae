import type { DataSource, EntityManager } from 'typeorm';
import { onEachDatabase } from '../../../test/databases.ts';
import {
  type CheckpointStoreUnderTest,
  checkpointStoreContract,
} from '../../testing/contracts/index.ts';
import { MemoryLog } from '../../testing/index.ts';
import { sqlCheckpoint } from './index.ts';

const owner = (epoch: number) => ({ log: 'a', consumer: 'billing', epoch });

onEachDatabase('a checkpoint', (databases) => {
  describe('keeps the contract of all checkpoint stores', () => {
    const make = async (): Promise<CheckpointStoreUnderTest<EntityManager>> => {
      const database = await databases.fresh();
      const source = databases.sourceOf(database, []);
      await source.initialize();
      await source.query('CREATE TABLE note (text varchar(100))');
      return {
        store: sqlCheckpoint(source),
        reopen: async () => sqlCheckpoint(databases.sourceOf(database, [])),
        note: async (transaction, text) => {
          await transaction.query(`INSERT INTO note VALUES ('${text}')`);
        },
        noted: async () => {
          const rows: { text: string }[] = await source.query('SELECT text FROM note');
          return rows.map((it) => it.text);
        },
        close: async () => {},
      };
    };
    for (const { title, run } of checkpointStoreContract(make)) test(title, run);
  });

  test('stores that are opened at the same moment, of one DataSource or of several, make one table and leak nothing', async () => {
    const database = await databases.fresh();
    const sources = [1, 2, 3, 4].map(() => databases.sourceOf(database, []));
    let begun = 0;
    for (const it of sources) {
      const initialize = it.initialize.bind(it);
      it.initialize = () => {
        begun++;
        return initialize();
      };
    }
    const opened = sources.flatMap((source, i) =>
      [1, 2].map((nth) => {
        const own = { log: 'a', consumer: `consumer ${i} ${nth}`, epoch: 1 };
        return sqlCheckpoint(source).open(own, []);
      }),
    );
    expect(await Promise.all(opened)).toEqual(opened.map(() => undefined));
    expect(begun).toBe(sources.length);
  });

  test('what handlers of a consumer write is there once, however often they fail after it', async () => {
    const source = databases.sourceOf(await databases.fresh(), []);
    await source.initialize();
    await source.query('CREATE TABLE note (text varchar(100) PRIMARY KEY)');
    const records = new MemoryLog().records();
    const texts = Array.from({ length: 30 }, (_, i) => `${i}`);
    await records.append(texts);
    let failures = 0;
    const options = { name: 'notes', checkpoint: sqlCheckpoint(source), concurrency: 4 };
    for (const half of [1, 2]) {
      const consumer = records.process(options, async (entry, { transaction, attempt }) => {
        await transaction.query(`INSERT INTO note VALUES ('${entry.text()}')`);
        if (attempt === 1 && entry.glsn % 7 === half) {
          failures++;
          throw new Error('after it has written');
        }
      });
      if (half === 1) await consumer.close();
      else await consumer.caughtUp();
      await consumer.close();
    }
    expect(failures).toBeGreaterThan(3);
    const rows: { text: string }[] = await source.query('SELECT text FROM note');
    expect(rows.map((it) => it.text).sort()).toEqual([...texts].sort());
  });

  test('a record whose handler ended its transaction is tried again, and parked', async () => {
    const source = databases.sourceOf(await databases.fresh(), []);
    const records = new MemoryLog().records();
    await records.append(['rolls back always', 'rolls back once', 'well']);
    const done: string[] = [];
    const options = { name: 'notes', checkpoint: sqlCheckpoint(source), attempts: 2 } as const;
    const consumer = records.process(
      { ...options, onError: 'park' },
      async (entry, { transaction, attempt }) => {
        const text = entry.text();
        if (text.endsWith('always') || (text.endsWith('once') && attempt === 1))
          await transaction.query('ROLLBACK');
        else done.push(text);
      },
    );
    await consumer.caughtUp();
    expect(done).toEqual(['rolls back once', 'well']);
    expect(consumer.status).toMatchObject({ state: 'running', parked: 1, position: 3 });
    await consumer.close();
  });

  test.each(['ROLLBACK', 'COMMIT', 'ROLLBACK; BEGIN'])(
    'a handler that ends its transaction has failed: %s',
    async (statements) => {
      const source = databases.sourceOf(await databases.fresh(), []);
      await source.initialize();
      await source.query('CREATE TABLE note (text varchar(100))');
      const store = sqlCheckpoint(source);
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      const gone = { code: 'HANDLER_FAILED', message: expect.stringContaining('roll back') };
      const note = async (transaction: EntityManager, text: string) => {
        await transaction.query(`INSERT INTO note VALUES ('${text}')`);
      };
      const ending = store.transact(owner(1), 1, async (transaction) => {
        await note(transaction, 'ended');
        for (const it of statements.split(';')) await transaction.query(it);
      });
      await expect(ending).rejects.toMatchObject(gone);
      const byRunner = store.transact(owner(1), 1, async ({ queryRunner }) =>
        queryRunner!.rollbackTransaction(),
      );
      await expect(byRunner).rejects.toMatchObject(gone);
      const thrown = store.transact(owner(1), 1, async (transaction) => {
        await transaction.query('ROLLBACK');
        throw new RangeError('the handler fails');
      });
      await expect(thrown).rejects.toThrow(RangeError);
      expect((await store.open(owner(2), []))?.position).toBe(0);
      await store.transact(owner(2), 1, (transaction) => note(transaction, 'done'));
      expect((await store.open(owner(3), []))?.position).toBe(1);
      const [row]: { text: string }[] = await source.query(
        "SELECT text FROM note WHERE text = 'done'",
      );
      expect(row).toEqual({ text: 'done' });
      const runner = source.createQueryRunner();
      expect(runner.isTransactionActive).toBe(false);
      await runner.release();
    },
  );

  test('the rows of two consumers are apart, and one that is gone is told', async () => {
    const source = databases.sourceOf(await databases.fresh(), []);
    const store = sqlCheckpoint(source);
    const other = { ...owner(1), consumer: 'other' };
    await store.open(owner(1), []);
    await store.save(owner(1), 5);
    await store.open(other, []);
    await store.save(other, 7);
    expect(await store.open(owner(2), [])).toMatchObject({ position: 5 });
    await source.query('DELETE FROM varlog_consumer');
    await expect(store.transact(owner(2), 6, async () => {})).rejects.toMatchObject({
      code: 'LOG_MISMATCH',
    });
  });
});

test('other databases are refused', () => {
  const source = { options: { type: 'mysql' } } as unknown as DataSource;
  expect(() => sqlCheckpoint(source)).toThrow(/INVALID_ARGUMENT.*mysql.*better-sqlite3/);
});
