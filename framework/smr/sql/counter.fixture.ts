import type { EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import type { ApplyContext } from '../index.ts';
import { type SqlStateMachine, sqlReplicaMigrations } from './index.ts';

class CreateCounter1700000000001 implements MigrationInterface {
  readonly name = 'CreateCounter1700000000001';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE counter (id int PRIMARY KEY, value int NOT NULL)');
    await runner.query('INSERT INTO counter VALUES (1, 0)');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE counter');
  }
}

export const MIGRATIONS = [...sqlReplicaMigrations, CreateCounter1700000000001];

/** A number to which commands add: one that was applied twice, or not at all, shows. */
export class Counter implements SqlStateMachine<{ add: number }, number> {
  /** Throws at the next so many steps of `apply`. */
  failures: ('never' | 'before' | 'between' | 'after')[] = [];
  calls = 0;

  async apply({ add }: { add: number }, manager: EntityManager, _: ApplyContext): Promise<number> {
    this.calls++;
    const failure = this.failures.shift();
    if (failure === 'before') throw new Error('crash before the effect');
    await manager.query(`UPDATE counter SET value = value + ${add} WHERE id = 1`);
    if (failure === 'between') await manager.query('SELECT * FROM no_such_table');
    const value = await valueIn(manager);
    if (failure === 'after') throw new Error('crash behind the effect');
    return value;
  }
}

export async function valueIn(manager: EntityManager): Promise<number> {
  return (await manager.query('SELECT value FROM counter WHERE id = 1'))[0].value as number;
}
