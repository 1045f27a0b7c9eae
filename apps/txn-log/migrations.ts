import { type MigrationInterface, type QueryRunner, Table, TableColumn, TableIndex } from 'typeorm';
import { sqlReplicaMigrations } from 'varlog/smr/sql';
import { NO_CURRENCY } from './currency.ts';

class CreateLedger1700000001000 implements MigrationInterface {
  readonly name = 'CreateLedger1700000001000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'account',
        columns: [
          { name: 'id', type: 'varchar', isPrimary: true },
          { name: 'balance', type: 'bigint' },
          { name: 'overdraft_limit', type: 'bigint', isNullable: true },
          { name: 'opened_at', type: 'bigint' },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'transfer',
        columns: [
          { name: 'id', type: 'varchar', isPrimary: true },
          { name: 'position', type: 'bigint' },
          { name: 'time', type: 'bigint' },
          { name: 'description', type: 'varchar' },
          { name: 'refusal', type: 'varchar', isNullable: true },
          { name: 'request', type: 'text' },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'posting',
        columns: [
          { name: 'transfer_id', type: 'varchar', isPrimary: true },
          { name: 'leg', type: 'int', isPrimary: true },
          { name: 'account_id', type: 'varchar' },
          { name: 'amount', type: 'bigint' },
          { name: 'balance', type: 'bigint' },
        ],
        indices: [{ name: 'posting_of_account', columnNames: ['account_id', 'transfer_id'] }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['posting', 'transfer', 'account']) await runner.dropTable(table);
  }
}

class AddCurrencies1700000002000 implements MigrationInterface {
  readonly name = 'AddCurrencies1700000002000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'currency',
        columns: [
          { name: 'code', type: 'varchar', isPrimary: true },
          { name: 'exponent', type: 'int' },
        ],
      }),
    );
    await runner.query(`INSERT INTO currency (code, exponent) VALUES ('${NO_CURRENCY}', 0)`);
    await runner.addColumn(
      'account',
      new TableColumn({ name: 'currency', type: 'varchar', default: `'${NO_CURRENCY}'` }),
    );
    await runner.createIndex(
      'transfer',
      new TableIndex({ name: 'transfer_by_position', columnNames: ['position'] }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropIndex('transfer', 'transfer_by_position');
    await runner.dropColumn('account', 'currency');
    await runner.dropTable('currency');
  }
}

/** The ledger's tables, and those of the replica that keeps them. */
export const LEDGER_MIGRATIONS = [
  ...sqlReplicaMigrations,
  CreateLedger1700000001000,
  AddCurrencies1700000002000,
];
