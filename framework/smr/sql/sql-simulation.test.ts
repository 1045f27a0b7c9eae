import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataSource, EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../../../test/databases.ts';
import { type Ports, sleep, VarlogError } from '../../base/index.ts';
import {
  MemoryLog,
  type RunReport,
  runSeeds,
  type SeededRandom,
  World,
} from '../../testing/index.ts';
import type { ApplyContext } from '../index.ts';
import {
  type SqlReplica,
  type SqlStateMachine,
  sqlReplicaMigrations,
  startSqlReplica,
} from './index.ts';

const SEEDS = 20;
const ROUNDS = 3;
const NAMES = ['one', 'two'];
const TAKE_OVER_MS = 500;

class CreateEffects1700000000003 implements MigrationInterface {
  readonly name = 'CreateEffects1700000000003';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE TABLE effect (command int PRIMARY KEY, position int, time real, drawn real, sum int)',
    );
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE effect');
  }
}

/** Notes all that it is given, and stumbles over commands that were there before. */
class Effects implements SqlStateMachine<number, number> {
  async apply(command: number, manager: EntityManager, context: ApplyContext): Promise<number> {
    const [{ sum }] = await manager.query('SELECT count(*) AS sum FROM effect');
    const skipped = context.random() < 0.5 ? context.random() : 0;
    const insert = (id: number): Promise<unknown> =>
      manager.query('INSERT INTO effect VALUES (?, ?, ?, ?, ?)', [
        id,
        context.position,
        context.time,
        context.random() + skipped,
        sum,
      ]);
    await insert(command);
    // Whatever this meets is caught: the same must become of it everywhere.
    const twice = await insert(command).then(
      () => 'inserted',
      () => 'refused',
    );
    if (twice !== 'refused') throw new Error('a second row under one key');
    return sum as number;
  }
}

/** A database whose connection fails now and then, and dies for good when it is told to. */
class Database {
  source!: DataSource;
  private readonly path: string;
  private readonly random: SeededRandom;
  private connection!: { prepare(sql: string): Statement; exec(sql: string): void; close(): void };
  private failing = 0;

  constructor(path: string, random: SeededRandom) {
    this.path = path;
    this.random = random;
  }

  async open(): Promise<void> {
    const database = this.path;
    this.source = dataSourceOf(
      { type: 'better-sqlite3', database, statementCacheSize: 0, timeout: 0 },
      [...sqlReplicaMigrations, CreateEffects1700000000003],
    );
    await this.source.initialize();
    this.connection = (await this.source.createQueryRunner().connect()) as Database['connection'];
    this.connection.exec('PRAGMA journal_mode = WAL');
    this.connection.exec('PRAGMA synchronous = OFF');
    const prepare = this.connection.prepare.bind(this.connection);
    this.connection.prepare = (sql) => {
      const statement = prepare(sql);
      if (this.random.fraction() >= this.failing) return statement;
      return this.fail(sql, statement);
    };
  }

  /** Makes this share of all statements fail. */
  failEvery(share: number): void {
    this.failing = share;
  }

  /** As with the process: what was not committed is gone, and nothing is tidied up. */
  kill(): void {
    this.connection.close();
  }

  private fail(sql: string, statement: Statement): Statement {
    switch (this.random.below(3)) {
      case 0:
        // The statement took effect, and nobody hears of it.
        if (statement.reader) statement.all();
        else if (sql === 'COMMIT') statement.run();
        break;
      case 1:
        // As some errors of the disk do it.
        if ((this.connection as unknown as { inTransaction: boolean }).inTransaction)
          this.connection.exec('ROLLBACK');
    }
    throw Object.assign(new Error('the database failed'), { code: 'SQLITE_IOERR' });
  }
}

interface Statement {
  readonly reader: boolean;
  all(): unknown;
  run(): unknown;
}

type Effect = { command: number };

async function scenario(seed: number, folder: string): Promise<RunReport> {
  const world = new World(seed, { guard: false });
  const random = world.random.stream('scenario');
  const log = new MemoryLog();
  const databases = NAMES.map((name) => new Database(join(folder, `${seed}-${name}.db`), random));
  const outcomes = new Map<number, 'done' | 'not' | 'unknown'>();
  for (let round = 0; round <= ROUNDS; round++) {
    // Opening files takes turns of the real event loop.
    for (const it of databases) await it.open();
    await world.play(async () => {
      const ports = world.ports(`round ${round}`);
      const replicas = await Promise.all(
        databases.map(({ source: dataSource }) =>
          startSqlReplica({
            machine: new Effects(),
            dataSource,
            log,
            ports,
            batchMax: 1 + random.below(8),
            attemptsMax: 1_000,
            takeOverMs: TAKE_OVER_MS,
          }),
        ),
      );
      if (round < ROUNDS) {
        for (const it of databases) it.failEvery(random.below(8) / 100);
        await useAll(replicas, databases, log, ports, outcomes, random);
      } else {
        await compare(replicas, outcomes);
      }
      for (const it of databases) it.failEvery(0);
      await Promise.all(replicas.map((it) => it.close()));
    });
    for (const { source } of databases) await source.destroy();
  }
  return { traceHash: JSON.stringify([...outcomes]), simulatedMs: world.nowMs };
}

/** Commands at both replicas, appends that fail, and the sudden end of one, or none, of the two. */
async function useAll(
  replicas: SqlReplica<number, number>[],
  databases: Database[],
  log: MemoryLog,
  { clock }: Ports,
  outcomes: Map<number, 'done' | 'not' | 'unknown'>,
  random: SeededRandom,
): Promise<void> {
  const calls: Promise<void>[] = [];
  const killedAt = random.below(40);
  for (let i = 0; i < 20; i++) {
    if (random.below(4) === 0) {
      const faults = ['refused', 'unknownApplied', 'unknownLate', 'unknownLost'] as const;
      log.failNext(faults[random.below(4)]!);
    }
    // Somebody else's, whom nobody knows.
    if (random.below(8) === 0) await log.append([new Uint8Array(20).fill(i)]).catch(() => {});
    const command = outcomes.size;
    outcomes.set(command, 'unknown');
    const call = replicas[random.below(2)]!.execute(command, named(command)).then(
      () => void outcomes.set(command, 'done'),
      (error: unknown) => {
        if (!VarlogError.is(error)) throw error;
        if (error.outcome === 'notAppended') outcomes.set(command, 'not');
      },
    );
    calls.push(call);
    if (i === killedAt) {
      databases[0]!.kill();
      await replicas[0]!.close();
    }
    await sleep(clock, random.below(30));
  }
  await Promise.all(calls);
}

/** A repeated command is the same request. */
const named = (command: number): { requestId: string; timeoutMs: number } => ({
  requestId: `command ${command}`,
  timeoutMs: 2_000,
});

async function compare(
  replicas: SqlReplica<number, number>[],
  outcomes: Map<number, 'done' | 'not' | 'unknown'>,
): Promise<void> {
  // A second effect of one command would meet the first one's key.
  for (const [command, outcome] of outcomes) {
    if (outcome === 'not') continue;
    const replica = replicas[command % 2]!;
    const sums = [await replica.execute(command, named(command))];
    sums.push(await replicas[(command + 1) % 2]!.execute(command, named(command)));
    expect(sums[1]).toBe(sums[0]);
    outcomes.set(command, 'done');
  }
  const [one, two] = await Promise.all(
    replicas.map((it) =>
      it.query(
        (manager): Promise<Effect[]> => manager.query('SELECT * FROM effect ORDER BY position'),
      ),
    ),
  );
  expect(two).toEqual(one);
  const seen = new Set(one!.map(({ command }) => command));
  for (const [command, outcome] of outcomes) {
    if (outcome === 'done' && !seen.has(command)) throw new Error(`command ${command} is lost`);
    if (outcome === 'not' && seen.has(command)) throw new Error(`command ${command} took effect`);
  }
}

test('two replicas on two databases end equal, whatever databases, appends and processes suffer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-sql-simulation-'));
  try {
    const failures = await runSeeds({
      scenario: (seed) => scenario(seed, mkdtempSync(join(folder, 'run-'))),
      seeds: SEEDS,
      print: () => {},
    });
    expect(failures).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
