import type { DataSourceOptions, EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import { sleep } from '../../base/index.ts';
import { realClock } from '../../runtime/index.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import { type AlarmCommand, type AlarmNote, Alarms, checkAlarms } from '../alarms.fixture.ts';
import type { ApplyContext } from '../index.ts';
import {
  type SqlReplica,
  type SqlStateMachine,
  sqlReplicaMigrations,
  startSqlReplica,
} from './index.ts';

class CreateNotes1700000000004 implements MigrationInterface {
  readonly name = 'CreateNotes1700000000004';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE note (number int PRIMARY KEY, body text NOT NULL)');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE note');
  }
}

async function notesIn(manager: EntityManager): Promise<AlarmNote[]> {
  const rows: { body: string }[] = await manager.query('SELECT body FROM note ORDER BY number');
  return rows.map(({ body }) => JSON.parse(body) as AlarmNote);
}

/** Alarms whose notes lie in a table. It stumbles after it has set or stopped one: that must not count twice. */
class SqlAlarms implements SqlStateMachine<AlarmCommand, number> {
  failures = 0;

  async apply(
    command: AlarmCommand,
    manager: EntityManager,
    context: ApplyContext<AlarmCommand>,
  ): Promise<number> {
    const alarms = new Alarms();
    alarms.restore(await notesIn(manager));
    const count = alarms.apply(command, context);
    const note = JSON.stringify(alarms.notes.at(-1)).replaceAll("'", "''");
    const insert = (): Promise<unknown> =>
      manager.query(`INSERT INTO note VALUES (${count}, '${note}')`);
    context.emit({ position: context.position, index: context.index });
    await insert();
    await insert().catch(() => {});
    if (this.failures-- > 0) throw new Error('crash behind the effect');
    return count;
  }
}

function suite(databases: SuiteDatabases): void {
  const clock = realClock();
  type AlarmReplica = SqlReplica<AlarmCommand, number>;
  const start = (
    database: DataSourceOptions,
    log: MemoryLog,
    machine = new SqlAlarms(),
  ): Promise<AlarmReplica> => {
    const dataSource = databases.sourceOf(database, [
      ...sqlReplicaMigrations,
      CreateNotes1700000000004,
    ]);
    return startSqlReplica({ machine, dataSource, log, takeOverMs: 200 });
  };
  const untilPending = async (replica: AlarmReplica, count: number): Promise<void> => {
    while (checkAlarms(await replica.query(notesIn)).pending > count) await sleep(clock, 10);
  };

  test('timers are due once and alike on two databases, and so is what is emitted, over restarts and attempts that fail', async () => {
    const log = new MemoryLog();
    const two = [await databases.fresh(), await databases.fresh()];
    const machine = new SqlAlarms();
    const one = await start(two[0]!, log, machine);
    await one.execute({ op: 'set', ms: 10, again: 3 });
    await one.execute({ op: 'set', ms: 3_600_000, again: 0 });
    machine.failures = 2;
    await one.execute({ op: 'set', ms: 10, again: 1 });
    await untilPending(one, 1);
    await one.execute({ op: 'set', ms: 200, again: 0 });
    await one.execute({ op: 'set', ms: 7_200_000, again: 0 });
    await one.close();
    const again = await start(two[0]!, log);
    const other = await start(two[1]!, log);
    const sets = (await again.query(notesIn)).flatMap((it) =>
      it.op !== 'stop' && it.set !== null ? [it.set.at - it.time] : [],
    );
    await again.execute({ op: 'stop', nth: sets.indexOf(3_600_000) });
    await untilPending(again, 1);
    const notes = await again.query(notesIn);
    expect(checkAlarms(notes)).toEqual({ problems: [], pending: 1 });
    expect(notes.some((it) => it.op === 'stop' && it.stopped !== null)).toBe(true);
    expect(await other.query(notesIn)).toEqual(notes);
    const places = notes.map(({ position, index }) => ({ position, index }));
    const { position: last } = places.at(-1)!;
    const emitted: unknown[] = [];
    for await (const it of other.changes({ from: 1 })) {
      if (it.kind === 'changes') emitted.push(...it.changes);
      if (it.position >= last) break;
    }
    expect(emitted).toEqual(places);
    await expect(again.changes({ from: 1 })[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'TRIMMED',
    });
    await again.close();
    await other.close();
  });
}

onEachDatabase('timers of a machine', suite);
