import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import type { Varlog } from 'varlog/log';
import { type StateMachine, startReplica, TransactionMachine, transactions } from 'varlog/smr';
import { type SqlStateMachine, sqlReplicaMigrations, startSqlReplica } from 'varlog/smr/sql';
import { MemoryLog } from 'varlog/testing';
import { ledgerDatabase } from '../../apps/txn-log/database.ts';
import type { LedgerCommand } from '../../apps/txn-log/ledger-command.ts';
import { LedgerMachine } from '../../apps/txn-log/ledger-machine.ts';
import { startLedgerReplica } from '../../apps/txn-log/replica.ts';
import { LocalProcesses } from '../process/local-processes.ts';
import type { TestCluster } from '../process/processes.ts';
import { type Measured, measure, type Row, row } from './measure.ts';
import { speculationRows } from './speculation-rows.ts';

const CLIENTS = 100;
const KEYS = 10_000;
const ACCOUNTS = 100;
const APPLIED = 20_000;

/** Transactions and transfers of three replicas in one process, as shares of the appends of as many clients. */
export async function serviceRows(cluster: TestCluster, label: string): Promise<Row[]> {
  await using processes = new LocalProcesses();
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 1 });
  const record = new Uint8Array(100);
  const appended = await measure(() => topic.append(record), { workers: CLIENTS });
  const share = (work: string, it: Measured): Row => {
    const percent = Math.round((100 * it.perSecond) / appended.perSecond);
    return row(`${work}, ${percent} % of the appends of as many`, it);
  };
  return [
    row(`${CLIENTS} appenders, for the next two, ${label}`, appended),
    share(`${CLIENTS} × transaction, 2 reads, 2 writes, ${label}`, await transacted(varlog)),
    share(
      `${CLIENTS} × transfer of the ledger in SQLite, ${label}`,
      await transferred(varlog, processes),
    ),
    ...(await speculationRows(varlog, label)),
    ...(await appliedRows(processes)),
  ];
}

async function transacted(varlog: Varlog): Promise<Measured> {
  const log = await varlog.createTopic({ logStreams: 1 });
  const start = () => startReplica({ machine: new TransactionMachine(), log });
  const replicas = await Promise.all([start(), start(), start()]);
  const stores = replicas.map((it) => transactions(it));
  let turn = 0;
  const once = (): Promise<void> => {
    const keys = [`key ${(turn * 7) % KEYS}`, `key ${(turn * 13 + 1) % KEYS}`];
    return stores[turn++ % 3]!.transact(async (transaction) => {
      for (const it of keys) {
        const count = Number((await transaction.get(it)) ?? 0);
        transaction.put(it, String(count + 1));
      }
    });
  };
  const measured = await measure(once, { workers: CLIENTS });
  for (const it of replicas) await it.close();
  return measured;
}

async function transferred(varlog: Varlog, processes: LocalProcesses): Promise<Measured> {
  const log = await varlog.createTopic({ logStreams: 1 });
  const start = (name: string) =>
    startLedgerReplica({
      http: '127.0.0.1:0',
      location: { directory: processes.folder(name) },
      log: log.asOrderedLog(),
      callTimeoutMs: 60_000,
    });
  const replicas = await Promise.all(['a', 'b', 'c'].map(start));
  const name = (turn: number): string => `account ${turn % ACCOUNTS}`;
  for (let i = 0; i < ACCOUNTS; i++) await replicas[0]!.service.open(name(i), null);
  let turn = 0;
  const once = (): Promise<unknown> => {
    const legs = [
      { account: name(turn), amount: -1n },
      { account: name(turn * 7 + 1), amount: 1n },
    ];
    return replicas[turn++ % 3]!.service.transfer({ id: randomUUID(), legs });
  };
  const measured = await measure(once, { workers: CLIENTS });
  for (const it of replicas) await it.close();
  return measured;
}

/** How fast machines in SQLite that were away catch up with their logs: the ledger, and one with a single statement. */
async function appliedRows(processes: LocalProcesses): Promise<Row[]> {
  const accounts = Array.from({ length: ACCOUNTS }, (_, i) => `account ${i}`);
  const openings = accounts.map((account) => ({ op: 'open', account, overdraftLimit: null }));
  const transfers = Array.from({ length: APPLIED }, (_, i) => {
    const legs = [
      { account: accounts[i % ACCOUNTS]!, amount: -1 },
      { account: accounts[(i * 7 + 1) % ACCOUNTS]!, amount: 1 },
    ];
    return { op: 'transfer', id: String(i), legs, description: '' };
  });
  const { writer } = ledgerDatabase({ directory: processes.folder('late ledger') });
  const tallies = new DataSource({
    type: 'better-sqlite3',
    database: join(processes.folder('late tallies'), 'tallies.db'),
    migrations: [...sqlReplicaMigrations, CreateTally1700000003000],
  });
  mkdirSync(processes.folder('late tallies'));
  const keys = Array.from({ length: APPLIED }, (_, i) => `key ${i % ACCOUNTS}`);
  const applied = (
    await appliedPerSecond(writer, new LedgerMachine(), [
      ...(openings as LedgerCommand[]),
      ...(transfers as LedgerCommand[]),
    ])
  ).toLocaleString('en-US');
  const single = (await appliedPerSecond(tallies, TALLY, keys)).toLocaleString('en-US');
  return [
    {
      work: 'ledger in SQLite that catches up, 6 statements a command',
      rate: `${applied} commands/s`,
    },
    { work: 'SQLite that catches up, 1 statement a command', rate: `${single} commands/s` },
  ];
}

class CreateTally1700000003000 implements MigrationInterface {
  readonly name = 'CreateTally1700000003000';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE tally (id text PRIMARY KEY, count bigint NOT NULL)');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE tally');
  }
}

const TALLY: SqlStateMachine<string, null> = {
  apply: async (key, manager) => {
    await manager.query(
      'INSERT INTO tally VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1',
      [key],
    );
    return null;
  },
};

async function appliedPerSecond<Command>(
  dataSource: DataSource,
  machine: SqlStateMachine<Command, unknown>,
  commands: readonly Command[],
): Promise<number> {
  const log = new MemoryLog();
  const name = 'late';
  const writer = await startReplica<Command, null, null, StateMachine<Command, null, null>>({
    machine: { apply: () => null, snapshot: () => null, restore: () => {} },
    name,
    log,
    queueBytesMax: 256 * 1024 * 1024,
  });
  await Promise.all(commands.map((it) => writer.execute(it)));
  await writer.close();
  const begin = performance.now();
  const late = await startSqlReplica({ machine, name, dataSource, log });
  await late.caughtUp({ timeoutMs: 300_000 });
  const perSecond = commands.length / ((performance.now() - begin) / 1000);
  await late.close();
  await dataSource.destroy();
  return Math.round(perSecond);
}
