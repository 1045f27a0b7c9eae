import type { DataSource } from 'typeorm';
import { dataSourceOf, onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { realClock, realRandom } from '../../runtime/index.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import { APPLIER_TABLE } from './applier-tables.ts';
import { Counter, MIGRATIONS, valueIn } from './counter.fixture.ts';
import { startSqlReplica } from './index.ts';

/** What a database holds in a log, and what it had in it at that moment. */
interface Hold {
  readonly holder: string;
  readonly position: number;
  readonly stored: number;
}

function holding(dataSource: DataSource, memory = new MemoryLog()) {
  const holds: Hold[] = [];
  const hold = async (holder: string, position: number): Promise<void> => {
    const [row] = await dataSource.query(`SELECT position FROM ${APPLIER_TABLE}`);
    holds.push({ holder, position, stored: Number(row.position) });
  };
  const trims: number[] = [];
  const trim = async (position: number): Promise<{ position: number }> => {
    trims.push(position);
    return { position };
  };
  return { log: Object.assign(memory, { hold, trim }), holds, trims };
}

function suite(databases: SuiteDatabases): void {
  const fresh = async (): Promise<DataSource> => {
    return databases.sourceOf(await databases.fresh(), MIGRATIONS);
  };

  test('a database holds what it lacks, from its start on and under one name, and never less', async () => {
    const dataSource = await fresh();
    const { log, holds, trims } = holding(dataSource);
    let skippedMs = 0;
    const real = realClock();
    const clock = { ...real, now: () => real.now() + skippedMs };
    const ports = { clock, random: realRandom };
    const options = { machine: new Counter(), dataSource, log, ports, trimLog: true };
    for (let start = 0; start < 2; start++) {
      await using counter = await startSqlReplica(options);
      for (let i = 0; i < 5; i++) {
        await counter.execute({ add: 1 });
        skippedMs += 10_000;
      }
      expect(await counter.query(valueIn)).toBe(5 * (start + 1));
    }
    expect(holds[0]!.position).toBe(0);
    expect(holds.at(-1)!.position).toBeGreaterThan(5);
    for (const { position, stored } of holds) expect(position).toBeLessThanOrEqual(stored);
    expect(new Set(holds.map((it) => it.holder)).size).toBe(1);
    expect(holds[0]!.holder).toMatch(/^machine machine ./);
    // What is not held any more may be trimmed, and is where that is wanted.
    const held = holds.map((it) => it.position);
    expect(trims.length).toBeGreaterThan(0);
    expect(trims.filter((it) => !held.includes(it))).toEqual([]);
  });

  test('a database of the version before holds were known gets its name at the next start', async () => {
    const database = await databases.fresh();
    const old = dataSourceOf(
      database,
      MIGRATIONS.filter((it) => !it.name.includes('Place')),
    );
    const memory = new MemoryLog();
    const before = await startSqlReplica({ machine: new Counter(), dataSource: old, log: memory });
    await before.execute({ add: 1 });
    await before.close();
    await old.destroy();
    const dataSource = databases.sourceOf(database, MIGRATIONS);
    const { log, holds } = holding(dataSource, memory);
    await using counter = await startSqlReplica({ machine: new Counter(), dataSource, log });
    expect(await counter.execute({ add: 1 })).toBe(2);
    expect(holds[0]).toMatchObject({ position: 2, holder: expect.stringMatching(/machine ./) });
  });

  test('two databases hold under two names', async () => {
    const [a, b] = [await fresh(), await fresh()];
    const { log, holds, trims } = holding(a);
    await using one = await startSqlReplica({ machine: new Counter(), dataSource: a, log });
    await one.execute({ add: 1 });
    await using two = await startSqlReplica({ machine: new Counter(), dataSource: b, log });
    await two.caughtUp();
    expect(new Set(holds.map((it) => it.holder)).size).toBe(2);
    expect(trims).toEqual([]);
  });
}

onEachDatabase('a hold of a database', suite);
