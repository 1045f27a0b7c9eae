import type { DataSourceOptions, EntityManager } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import { Counter, MIGRATIONS, valueIn } from './counter.fixture.ts';
import { type SqlReplicaOptions, startSqlReplica } from './index.ts';

type Options = Partial<SqlReplicaOptions<{ add: number }, number>>;

function suite(databases: SuiteDatabases): void {
  const start = async (log: MemoryLog, database?: DataSourceOptions, options: Options = {}) => {
    const dataSource = databases.sourceOf(database ?? (await databases.fresh()), MIGRATIONS);
    return startSqlReplica({ machine: new Counter(), dataSource, log, ...options });
  };
  const requestsIn = async (manager: EntityManager): Promise<number> =>
    Number((await manager.query('SELECT count(*) AS count FROM varlog_request'))[0].count);

  test('a request takes effect once, wherever and whenever it is repeated', async () => {
    const log = new MemoryLog();
    const database = await databases.fresh();
    const first = await start(log, database);
    const ids = ['a', 'ä\u0000', '🙂'.repeat(64)];
    for (const [i, requestId] of ids.entries())
      expect(await first.execute({ add: 1 }, { requestId })).toBe(i + 1);
    await first.close();
    await using again = await start(log, database);
    await using other = await start(log);
    for (const replica of [again, other]) {
      for (const [i, requestId] of ids.entries())
        expect(await replica.execute({ add: 1 }, { requestId })).toBe(i + 1);
      await expect(replica.execute({ add: 2 }, { requestId: 'a' })).rejects.toMatchObject({
        code: 'REQUEST_MISMATCH',
      });
      expect(await replica.query(valueIn)).toBe(3);
    }
    expect(await again.query(requestsIn)).toBe(3);
  });

  test('more of them than one query reads are remembered over a restart', async () => {
    const log = new MemoryLog();
    const database = await databases.fresh();
    const first = await start(log, database);
    const ask = async (replica: typeof first): Promise<number[]> =>
      Promise.all(
        Array.from({ length: 1_100 }, (_, i) =>
          replica.execute({ add: 1 }, { requestId: `request ${i}` }),
        ),
      );
    const answers = await ask(first);
    await first.close();
    await using again = await start(log, database);
    expect(await again.query(requestsIn)).toBe(1_100);
    expect(await ask(again)).toEqual(answers);
    expect(await again.query(valueIn)).toBe(1_100);
  }, 60_000);

  test('what is forgotten leaves the database, and all replicas forget alike', async () => {
    const log = new MemoryLog();
    const requests = { keepMs: 3_600_000, bytesMax: 1_200 };
    const database = await databases.fresh();
    const first = await start(log, database, { requests });
    // Their order by id is another one.
    for (let i = 9; i >= 0; i--) await first.execute({ add: 1 }, { requestId: `request ${i}` });
    const kept = await first.query(requestsIn);
    expect(kept).toBeGreaterThan(1);
    expect(kept).toBeLessThan(6);
    await first.close();
    await using again = await start(log, database, { requests });
    await using other = await start(log, undefined, { requests });
    expect(await again.execute({ add: 1 }, { requestId: 'request 0' })).toBe(10);
    expect(await other.execute({ add: 1 }, { requestId: 'request 9' })).toBe(11);
    await again.caughtUp();
    expect(await again.query(requestsIn)).toBe(await other.query(requestsIn));
    const states = await Promise.all(
      [again, other].map((it) =>
        it.query((manager) => manager.query('SELECT * FROM varlog_request ORDER BY position')),
      ),
    );
    expect(states[1]).toEqual(states[0]);
  });
}

onEachDatabase('requests', suite);
