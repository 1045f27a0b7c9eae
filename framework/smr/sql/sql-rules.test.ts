import type { DataSourceOptions } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import type { ApplyContext } from '../index.ts';
import { Counter, MIGRATIONS, valueIn } from './counter.fixture.ts';
import { type SqlReplica, startSqlReplica } from './index.ts';

type Adding = { add: number };

/** By rules 2 it adds twice of everything. */
class RuledCounter extends Counter {
  readonly rules: number;
  constructor(rules: number) {
    super();
    this.rules = rules;
  }
  override apply({ add }: Adding, ...rest: [Parameters<Counter['apply']>[1], ApplyContext]) {
    return super.apply({ add: add * rest[1].rules }, ...rest);
  }
}

function suite(databases: SuiteDatabases): void {
  const start = (
    database: DataSourceOptions,
    log: MemoryLog,
    rules: number,
  ): Promise<SqlReplica<Adding, number>> => {
    const dataSource = databases.sourceOf(database, MIGRATIONS);
    return startSqlReplica({ machine: new RuledCounter(rules), dataSource, log });
  };

  test('goes by the rules that the log says, also after a restart, and stops where it does not know them', async () => {
    const log = new MemoryLog();
    const [one, two] = [await databases.fresh(), await databases.fresh()];
    const old = await start(one, log, 1);
    const young = await start(two, log, 2);
    expect(await old.execute({ add: 1 })).toBe(1);
    expect(await young.execute({ add: 1 })).toBe(2);
    expect(await young.upgradeTo(2)).toBe(2);
    await expect(old.caughtUp()).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    expect(await young.execute({ add: 1 })).toBe(4);
    await young.close();
    await old.close();
    await using again = await start(two, log, 2);
    expect(await again.execute({ add: 1 })).toBe(6);
    await using upgraded = await start(one, log, 3);
    expect(await upgraded.query(valueIn)).toBe(6);
    await again.close();
    await expect(start(two, log, 1)).rejects.toThrow(/APPLY_FAILED: rules 2 are in force/);
  }, 60_000);
}

onEachDatabase('rules', suite);
