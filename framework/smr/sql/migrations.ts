import type { MigrationInterface, QueryRunner } from 'typeorm';
import { APPLIER_TABLE, REQUEST_TABLE, SESSION_TABLE, TIMER_TABLE } from './applier-tables.ts';
import { dialectOf } from './dialect.ts';

/** The tables in which replicas keep their position, sessions and requests. */
class VarlogReplica1700000000000 implements MigrationInterface {
  readonly name = 'VarlogReplica1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    const { bytes } = dialectOf(runner.connection);
    await runner.query(
      `CREATE TABLE ${APPLIER_TABLE} (
        machine text PRIMARY KEY,
        log text NOT NULL,
        position bigint NOT NULL,
        time double precision NOT NULL,
        forgotten bigint NOT NULL,
        seen bigint NOT NULL,
        skipped text NOT NULL,
        owner bigint NOT NULL,
        holder text NOT NULL,
        challenge bigint NOT NULL,
        answer bigint NOT NULL
      )`,
    );
    await runner.query(
      `CREATE TABLE ${SESSION_TABLE} (
        id bigint PRIMARY KEY,
        used_position bigint NOT NULL,
        state ${bytes} NOT NULL
      )`,
    );
    await runner.query(
      `CREATE TABLE ${REQUEST_TABLE} (
        id ${bytes} PRIMARY KEY,
        position bigint NOT NULL,
        state ${bytes} NOT NULL
      )`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ${REQUEST_TABLE}`);
    await runner.query(`DROP TABLE ${SESSION_TABLE}`);
    await runner.query(`DROP TABLE ${APPLIER_TABLE}`);
  }
}

/** By what a log knows this database again that is to keep what it lacks. */
class VarlogReplicaPlace1700000000001 implements MigrationInterface {
  readonly name = 'VarlogReplicaPlace1700000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE ${APPLIER_TABLE} ADD COLUMN place text NOT NULL DEFAULT ''`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE ${APPLIER_TABLE} DROP COLUMN place`);
  }
}

/** The commands that wait for their time. */
class VarlogReplicaTimers1700000000002 implements MigrationInterface {
  readonly name = 'VarlogReplicaTimers1700000000002';

  async up(runner: QueryRunner): Promise<void> {
    const { bytes } = dialectOf(runner.connection);
    await runner.query(
      `ALTER TABLE ${APPLIER_TABLE} ADD COLUMN timers_made bigint NOT NULL DEFAULT 0`,
    );
    await runner.query(
      `CREATE TABLE ${TIMER_TABLE} (id bigint PRIMARY KEY, state ${bytes} NOT NULL)`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ${TIMER_TABLE}`);
    await runner.query(`ALTER TABLE ${APPLIER_TABLE} DROP COLUMN timers_made`);
  }
}

/**
 * For the `migrations` of the DataSource that is given to `startSqlReplica`, before those of the
 * machine's own tables.
 */
export const sqlReplicaMigrations: readonly (new () => MigrationInterface)[] = [
  VarlogReplica1700000000000,
  VarlogReplicaPlace1700000000001,
  VarlogReplicaTimers1700000000002,
];
