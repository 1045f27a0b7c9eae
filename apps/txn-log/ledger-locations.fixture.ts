import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describePostgres, postgresDatabases, type TestDatabases } from '../../test/databases.ts';
import { type LedgerLocation, ledgerDatabase } from './database.ts';

type Fresh<Location> = () => Promise<Location>;

/** Describes a suite against SQLite and against Postgres; `fresh` names a new place for a ledger. */
export function onEachLocation(name: string, suite: (fresh: Fresh<LedgerLocation>) => void): void {
  describe(`${name} in better-sqlite3`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'varlog-ledger-'));
    let count = 0;
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    suite(async () => ({ directory: join(folder, String(++count)) }));
  });
  inPostgres(`${name} in Postgres`, suite);
}

/** Describes a suite against Postgres alone. */
export function inPostgres(name: string, suite: (fresh: Fresh<{ url: string }>) => void): void {
  describePostgres(name, () => {
    let databases: TestDatabases;
    beforeAll(async () => {
      databases = await postgresDatabases();
    }, 60_000);
    afterAll(() => databases.close());
    suite(async () => {
      const { host, port, username, database } = (await databases.fresh()) as unknown as Record<
        string,
        string
      >;
      return { url: `postgres://${username}@${host}:${port}/${database}` };
    });
  });
}

/** Runs a statement in a generation, as whoever else has the address. */
export async function inDatabase<Row>(
  location: LedgerLocation,
  sql: string,
  generation = 0,
): Promise<Row[]> {
  const { writer } = ledgerDatabase(location, generation);
  await writer.initialize();
  try {
    return await writer.query(sql);
  } finally {
    await writer.destroy();
  }
}

/** The numbers of those that are there, whichever is in force. */
export async function generationsIn(location: LedgerLocation): Promise<number[]> {
  if ('directory' in location) {
    const names = existsSync(location.directory) ? readdirSync(location.directory) : [];
    const found = names.map((it) => /^ledger-?(\d*)\.db$/.exec(it)?.[1]);
    return found.flatMap((it) => (it === undefined ? [] : [Number(it)])).sort((a, b) => a - b);
  }
  const found = await inDatabase<{ number: number }>(
    location,
    `SELECT 0 AS number WHERE to_regclass('public.account') IS NOT NULL
     UNION SELECT substr(nspname, 8)::int FROM pg_namespace WHERE nspname LIKE 'ledger%' ORDER BY 1`,
  );
  return found.map(({ number }) => number);
}
