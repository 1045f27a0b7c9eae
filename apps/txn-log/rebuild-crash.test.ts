import { join } from 'node:path';
import type { QueryRunner } from 'typeorm';
import { freeAddresses, MemoryLog } from 'varlog/testing';
import { LocalProcesses, type Program } from '../../test/process/local-processes.ts';
import { eventually } from '../../test/process/processes.ts';
import { LedgerClient } from './client.ts';
import { type LedgerLocation, ledgerDatabase } from './database.ts';
import { FILE_LOG, writeLog } from './file-log.fixture.ts';
import {
  generationsIn,
  inDatabase,
  inPostgres,
  onEachLocation,
} from './ledger-locations.fixture.ts';
import { startLedgerReplica } from './replica.ts';

const REPLICA = 'apps/txn-log/ledger-replica.fixture.js';
const TRANSFERS = 120;

const processes = new LocalProcesses();
const file = join(processes.directory, 'log');
beforeAll(async () => {
  const log = new MemoryLog({ identity: FILE_LOG });
  const location = { directory: processes.folder('first') };
  const { service, close } = await startLedgerReplica({ http: '127.0.0.1:0', location, log });
  for (const account of ['bank', 'alice']) await service.open(account, null);
  const transfers = Array.from({ length: TRANSFERS }, (_, i) =>
    service.transfer({
      id: String(i),
      legs: [
        { account: 'bank', amount: -1n },
        { account: 'alice', amount: 1n },
      ],
    }),
  );
  await Promise.all(transfers);
  await close();
  await writeLog(log, file);
}, 60_000);
afterAll(() => processes[Symbol.asyncDispose]());

interface Serving {
  readonly process: Program;
  readonly client: LedgerClient;
}

function begin(location: LedgerLocation, http: string, pauseMs = 20): Program {
  const args = [JSON.stringify(location), file, http, String(pauseMs)];
  const process = processes.program(REPLICA, args);
  process.start();
  return process;
}

/** `pauseMs`: what passes between a few entries of the log and the next ones. */
async function start(location: LedgerLocation, pauseMs?: number): Promise<Serving> {
  const http = (await freeAddresses(1))[0] as string;
  const process = begin(location, http, pauseMs);
  await eventually(async () => {
    if (!process.isUp) throw new Error(`it has ended: ${process.output}`);
    expect((await fetch(`http://${http}/readyz`)).status).toBe(200);
  });
  return { process, client: new LedgerClient(http) };
}

/** Begins to rebuild. Resolves with the number of the generation that is made. */
async function rebuilding({ client }: Serving, location: LedgerLocation): Promise<number> {
  client.rebuild().catch(() => {});
  return eventually(async () => {
    const made = await generationsIn(location);
    expect(made).toHaveLength(2);
    return made[1] as number;
  });
}

async function positionIn(location: LedgerLocation, generation: number): Promise<number> {
  const { reader } = ledgerDatabase(location, generation);
  await reader.initialize();
  try {
    const [row] = await reader.query('SELECT position FROM varlog_applier');
    return Number(row.position);
  } finally {
    await reader.destroy();
  }
}

/** It is there with all that the log has, and nothing else is left. */
async function expectWhole({ client }: Serving, location: LedgerLocation, inForce: number) {
  expect(await client.audit()).toMatchObject({ ok: true, transfers: TRANSFERS });
  expect(await client.account('alice')).toMatchObject({ balance: BigInt(TRANSFERS) });
  expect(await generationsIn(location)).toEqual([inForce]);
}

function suite(fresh: () => Promise<LedgerLocation>): void {
  test('one that is killed while it is rebuilt has the old generation, and can be rebuilt', async () => {
    const location = await fresh();
    let serving = await start(location);
    for (const progress of [-1, 0, TRANSFERS / 2]) {
      const made = await rebuilding(serving, location);
      if (progress >= 0)
        await eventually(async () =>
          expect(await positionIn(location, made)).toBeGreaterThan(progress),
        );
      await serving.process.end('SIGKILL');
      serving = await start(location);
      await expectWhole(serving, location, 0);
    }
    await serving.client.rebuild();
    const [inForce] = await generationsIn(location);
    expect(inForce).toBeGreaterThan(0);
    await expectWhole(serving, location, inForce!);
    await serving.process.end('SIGKILL');
    await expectWhole(await start(location), location, inForce!);
    await processes.killAll();
  }, 180_000);

  test('of two processes one rebuilds, and one that stood still and lost its place changes nothing', async () => {
    const location = await fresh();
    await (await start(location)).process.end('SIGTERM');
    // It would be rebuilt after some hours.
    const first = await start(location, 1_000_000);
    const made = await rebuilding(first, location);
    const refused = begin(location, (await freeAddresses(1))[0] as string);
    expect(await refused.ended()).toBe(1);
    expect(refused.output).toContain('ANOTHER_APPLIER');
    first.process.signal('SIGSTOP');
    const second = await start(location);
    expect(await generationsIn(location)).toEqual([0]);
    const other = await rebuilding(second, location);
    expect(other).toBeGreaterThan(made);
    first.process.signal('SIGCONT');
    expect(await first.process.ended()).toBe(1);
    expect(first.process.output).toContain('ANOTHER_APPLIER');
    await eventually(() => expectWhole(second, location, other));
    await second.process.end('SIGKILL');
    await expectWhole(await start(location), location, other);
    await processes.killAll();
  }, 180_000);
}

function postgresSuite(fresh: () => Promise<LedgerLocation>): void {
  /** Keeps others from something in the database until the server has noticed that they are gone. */
  const whileLocked = async (
    location: LedgerLocation,
    lock: string,
    work: (runner: QueryRunner) => Promise<void>,
  ): Promise<void> => {
    const source = await ledgerDatabase(location).writer.initialize();
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await runner.query(lock);
    await work(runner);
    await runner.rollbackTransaction();
    await runner.release();
    await source.destroy();
  };
  const waiting = (location: LedgerLocation): Promise<void> =>
    eventually(async () => {
      const sql = 'SELECT 1 FROM pg_locks WHERE NOT granted';
      expect(await inDatabase(location, sql)).not.toHaveLength(0);
    });

  test('one that is killed right before another generation is in force has the old one, and right after it the new one', async () => {
    const location = await fresh();
    let serving = await start(location);
    let made = await rebuilding(serving, location);
    await whileLocked(location, 'LOCK TABLE ledger_generation', async () => {
      await waiting(location);
      expect(await positionIn(location, made)).toBeGreaterThan(TRANSFERS);
      await serving.process.end('SIGKILL');
    });
    serving = await start(location);
    await expectWhole(serving, location, 0);
    // Whoever reads the old one keeps it from being removed.
    await whileLocked(location, 'SELECT * FROM account', async () => {
      made = await rebuilding(serving, location);
      await waiting(location);
      await serving.process.end('SIGKILL');
      expect(await generationsIn(location)).toEqual([0, made]);
    });
    await expectWhole(await start(location), location, made);
    await processes.killAll();
  }, 180_000);

  test("an old one that cannot be removed is in nobody's way, and is removed later", async () => {
    const location = await fresh();
    const serving = await start(location);
    await whileLocked(location, 'SELECT * FROM account', async () => {
      await serving.client.rebuild();
      expect(await generationsIn(location)).toEqual([0, 1]);
      expect(await serving.client.audit()).toMatchObject({ ok: true, transfers: TRANSFERS });
    });
    await serving.client.rebuild();
    await expectWhole(serving, location, 2);
    await processes.killAll();
  }, 180_000);
}

onEachLocation('a ledger that is killed while it is rebuilt,', suite);
inPostgres('a ledger that is killed at the switch', postgresSuite);
