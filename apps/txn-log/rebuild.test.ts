import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { MemoryLog } from 'varlog/testing';
import { eventually } from '../../test/process/processes.ts';
import { LedgerClient } from './client.ts';
import { type LedgerLocation, ledgerDatabase } from './database.ts';
import {
  generationsIn,
  inDatabase,
  inPostgres,
  onEachLocation,
} from './ledger-locations.fixture.ts';
import { type LedgerReplica, startLedgerReplica } from './replica.ts';
import { SlowLog } from './slow-log.fixture.ts';

const http = '127.0.0.1:0';
const open: LedgerReplica[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

async function start(log: MemoryLog, location: LedgerLocation): Promise<LedgerReplica> {
  const replica = await startLedgerReplica({ http, location, log });
  open.push(replica);
  return replica;
}

async function openAccounts({ service }: LedgerReplica): Promise<void> {
  await service.open('bank', null);
  await service.open('alice');
}

const payment = (id: string) => ({
  id,
  legs: [
    { account: 'bank', amount: -7n },
    { account: 'alice', amount: 7n },
  ],
});

let commands: readonly Uint8Array[] | undefined;

/** A log that takes a while to be applied: 300 transfers. */
async function longLog(): Promise<SlowLog> {
  const identity = 'a long log';
  commands ??= await longHistory(identity);
  const log = new SlowLog({ identity });
  await log.append(commands);
  return log;
}

async function longHistory(identity: string): Promise<Uint8Array[]> {
  const log = new MemoryLog({ identity });
  const directory = mkdtempSync(join(tmpdir(), 'varlog-history-'));
  const replica = await start(log, { directory });
  await openAccounts(replica);
  const ids = Array.from({ length: 300 }, (_, i) => `early ${i}`);
  await Promise.all(ids.map((id) => replica.service.transfer(payment(id))));
  await replica.close();
  rmSync(directory, { recursive: true });
  for await (const it of log.follow(1))
    if (it.kind === 'entries') return it.entries.map(({ command }) => command);
  return [];
}

/**
 * A way to a server on which the connection that switches is cut once: its commit reaches the server and nobody hears of it,
 * or does not reach it.
 */
async function throughProxy(url: string) {
  const { host } = new URL(url);
  const [name, port] = host.split(':') as [string, string];
  let cut: 'never' | 'before' | 'behind' = 'never';
  const server = createServer((near) => {
    const far = connect(Number(port), name);
    let switches = false;
    near.on('data', (data: Buffer) => {
      switches ||= data.includes('SET in_force');
      if (!switches || !data.includes('COMMIT') || cut === 'never') {
        far.write(data);
        return;
      }
      if (cut === 'behind') far.write(data);
      cut = 'never';
      near.destroy();
    });
    far.on('data', (data) => near.write(data));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => {});
      // What was sent is delivered.
      one.on('close', () => other.end());
    }
  });
  // A test that fails does not close it.
  const address = await listening(server.unref());
  return {
    location: { url: url.replace(host, address) },
    cutAt: (isCommitted: boolean) => {
      cut = isCommitted ? 'behind' : 'before';
    },
    close: () => server.close(),
  };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function suite(fresh: () => Promise<LedgerLocation>): void {
  test('it is made anew from the log while the old one serves', async () => {
    const log = new MemoryLog();
    const location = await fresh();
    const first = await start(log, location);
    await openAccounts(first);
    const client = new LedgerClient(first.http);
    await client.transfer(payment('before'));
    await inDatabase(location, "UPDATE account SET balance = 8 WHERE id = 'alice'");
    expect(await client.audit()).toMatchObject({ ok: false, deviating: ['alice'] });
    const rebuilt = client.rebuild();
    let over = false;
    const done = rebuilt.finally(() => {
      over = true;
    });
    let answered = 0;
    // Never a call without an answer, before, while and after it takes over.
    while (!over) {
      await client.transfer(payment(`meanwhile ${answered++}`));
      expect((await fetch(`http://${first.http}/readyz`)).status).toBe(200);
      const query = encodeURIComponent("SELECT id FROM account WHERE id = 'alice'");
      const rows = await fetch(`http://${first.http}/sql?query=${query}`);
      expect(await rows.json()).toEqual([{ id: 'alice' }]);
      expect(await client.statement('alice', { limit: '1' })).toMatchObject({ opening: 0n });
    }
    const { position } = await done;
    expect(position).toBeGreaterThan(2);
    expect(await client.audit()).toMatchObject({ ok: true, transfers: 1 + answered });
    expect(await client.account('alice')).toMatchObject({ balance: 7n * BigInt(1 + answered) });
    expect(await generationsIn(location)).toEqual([1]);
    await first.close();
    const again = await start(log, location);
    expect(await again.service.account('alice')).toMatchObject({
      balance: 7n * BigInt(1 + answered),
    });
    await new LedgerClient(again.http).rebuild();
    expect(await generationsIn(location)).toEqual([2]);
    // A log without its beginning is no log to build from: what is there stays.
    await log.compact(2, new Uint8Array());
    await expect(new LedgerClient(again.http).rebuild()).rejects.toMatchObject({ code: 'TRIMMED' });
    expect(await again.service.audit()).toMatchObject({ ok: true });
    expect(await generationsIn(location)).toEqual([2]);
  }, 60_000);

  test('it is rebuilt once at a time, and what was asked before it is done is answered', async () => {
    const location = await fresh();
    const { service, http } = await start(await longLog(), location);
    await service.caughtUp({ timeoutMs: 30_000 });
    const client = new LedgerClient(http);
    const rebuilt = client.rebuild();
    await eventually(async () => expect((await generationsIn(location)).length).toBe(2));
    await expect(client.rebuild()).rejects.toThrow('being rebuilt already');
    let over = false;
    const done = rebuilt.finally(() => {
      over = true;
    });
    // Takes a while, so that it is under way when the other one takes over.
    const question =
      'url' in location
        ? "SELECT id FROM account, (SELECT pg_sleep(1)) AS slowly WHERE id = 'alice'"
        : `WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 300000)
           SELECT id FROM account WHERE id = 'alice' AND (SELECT max(n) FROM more) > 0`;
    let asked = 0;
    while (!over) {
      const answers = [1, 2].map(() => service.sql(question, { stale: true }));
      expect(await Promise.all(answers)).toEqual([[{ id: 'alice' }], [{ id: 'alice' }]]);
      asked++;
    }
    await done;
    expect(asked).toBeGreaterThan(0);
    expect(await service.audit()).toMatchObject({ ok: true, transfers: 300 });
  }, 60_000);

  test('a replica that is closed gives the rebuilding up, and the old one stays', async () => {
    const location = await fresh();
    const log = await longLog();
    const replica = await start(log, location);
    await replica.service.caughtUp({ timeoutMs: 30_000 });
    // It would be rebuilt after a day.
    log.pauseMs = 1_000_000;
    const rebuilt = new LedgerClient(replica.http).rebuild();
    rebuilt.catch(() => {});
    await eventually(async () => expect((await generationsIn(location)).length).toBe(2));
    await replica.close();
    await expect(rebuilt).rejects.toThrow();
    log.pauseMs = 0;
    const again = await start(log, location);
    // What could not be removed at once, because its start was still under way, the next one removes.
    expect(await generationsIn(location)).toEqual([0]);
    expect(await again.service.audit()).toMatchObject({ ok: true, transfers: 300 });
  }, 60_000);
}

function postgresSuite(fresh: () => Promise<{ url: string }>): void {
  const started = async (
    location: LedgerLocation,
    log: MemoryLog = new MemoryLog(),
  ): Promise<LedgerReplica> => {
    const replica = await start(log, location);
    await openAccounts(replica);
    await replica.service.transfer(payment('early'));
    return replica;
  };
  const rebuild = ({ http }: LedgerReplica) => new LedgerClient(http).rebuild();

  test('what others have in the database is left alone, and what they have on its tables is asked for first', async () => {
    const location = await fresh();
    const replica = await started(location);
    await inDatabase(location, 'CREATE SCHEMA ledger_1');
    await inDatabase(location, 'CREATE TABLE ledger_1.mine (id int)');
    await inDatabase(location, 'CREATE TABLE mine (account varchar REFERENCES account (id))');
    await inDatabase(location, 'CREATE VIEW rich AS SELECT * FROM account WHERE balance > 1');
    await expect(rebuild(replica)).rejects.toThrow(/used by mine, rich.*drop what uses them/);
    await inDatabase(location, 'DROP VIEW rich');
    await inDatabase(location, 'ALTER TABLE mine DROP CONSTRAINT mine_account_fkey');
    await rebuild(replica);
    const tables = await inDatabase(
      location,
      `SELECT relname AS name FROM pg_class
       WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'ledger_1'::regnamespace) ORDER BY 1`,
    );
    // Nothing is left of the first generation but the mark.
    expect(tables).toEqual(['ledger_generation', 'mine', 'mine'].map((name) => ({ name })));
    const asked = await replica.service.sql(
      "SELECT current_schema() AS schema, balance FROM account WHERE id = 'alice'",
    );
    expect(asked).toEqual([{ schema: 'ledger_2', balance: '7' }]);
    await inDatabase(location, 'CREATE TABLE ledger_2.theirs AS SELECT 1 AS one');
    await rebuild(replica);
    expect(await inDatabase(location, 'SELECT one FROM ledger_2.theirs')).toEqual([{ one: 1 }]);
    expect(await replica.service.audit()).toMatchObject({ ok: true, transfers: 1 });
  }, 60_000);

  test('ledgers that lie in one database do not get into the way of each other', async () => {
    const { url } = await fresh();
    const replicas: LedgerReplica[] = [];
    for (const schema of ['one', 'two']) {
      await inDatabase({ url }, `CREATE SCHEMA ${schema}`);
      const options = encodeURIComponent(`-c search_path=${schema}`);
      replicas.push(await started({ url: `${url}?options=${options}` }));
    }
    for (const it of [...replicas, ...replicas]) await rebuild(it);
    for (const it of replicas) {
      expect(await it.service.audit()).toMatchObject({ ok: true, transfers: 1 });
      // The settings of the address do not take away those of the reader.
      const [row] = (await it.service.sql(
        "SELECT current_setting('default_transaction_read_only') AS only",
      )) as object[];
      expect(row).toEqual({ only: 'on' });
    }
  }, 60_000);

  test('a role that may not make a schema is told so', async () => {
    const { url } = await fresh();
    await inDatabase({ url }, 'CREATE ROLE clerk LOGIN');
    await inDatabase({ url }, 'GRANT CREATE ON SCHEMA public TO clerk');
    const replica = await started({ url: url.replace('varlog@', 'clerk@') });
    await expect(rebuild(replica)).rejects.toThrow('grant it CREATE on the database');
    const { database } = new DataSource({ type: 'postgres', url }).driver;
    await inDatabase({ url }, `GRANT CREATE ON DATABASE ${database} TO clerk`);
    await rebuild(replica);
    expect(await replica.service.audit()).toMatchObject({ ok: true, transfers: 1 });
  }, 60_000);

  test('where the database says nothing about the switch, it is found out what became of it', async () => {
    const { url } = await fresh();
    const log = new MemoryLog();
    for (const isCommitted of [true, false]) {
      const { location, cutAt, close } = await throughProxy(url);
      const replica = await started(location, log);
      cutAt(isCommitted);
      const rebuilt = rebuild(replica);
      if (isCommitted) await rebuilt;
      else await expect(rebuilt).rejects.toThrow();
      expect(await generationsIn({ url })).toEqual([1]);
      expect(await replica.service.audit()).toMatchObject({ ok: true, transfers: 1 });
      await replica.close();
      close();
    }
  }, 60_000);

  test('one that comes while another puts a rebuilt one in force opens that', async () => {
    const location = await fresh();
    const log = new MemoryLog();
    const before = await started(location, log);
    await before.close();
    const other = await ledgerDatabase(location).writer.initialize();
    const runner = other.createQueryRunner();
    await runner.startTransaction();
    await runner.query('LOCK TABLE varlog_applier IN ACCESS EXCLUSIVE MODE');
    const coming = start(log, location);
    await eventually(async () => {
      const waiting = await inDatabase(location, 'SELECT 1 FROM pg_locks WHERE NOT granted');
      expect(waiting).toHaveLength(1);
    });
    for (const sql of [
      'CREATE TABLE ledger_generation (number int PRIMARY KEY, in_force boolean NOT NULL)',
      'INSERT INTO ledger_generation VALUES (1, true)',
      'CREATE SCHEMA ledger_1',
      'DROP TABLE account, currency, posting, transfer, varlog_migrations',
      'DROP TABLE varlog_applier, varlog_session, varlog_request, varlog_timer',
    ])
      await runner.query(sql);
    await runner.commitTransaction();
    await runner.release();
    await other.destroy();
    const { service } = await coming;
    expect(await service.audit()).toMatchObject({ ok: true, transfers: 1 });
    expect(await generationsIn(location)).toEqual([1]);
  }, 60_000);
}

onEachLocation('a ledger that is rebuilt', suite);
inPostgres('a ledger that is rebuilt, in a database that is shared,', postgresSuite);
