import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions, type MigrationInterface } from 'typeorm';
import { freeAddresses } from 'varlog/testing';

/** A kind of database that tests run against. */
export interface TestDatabases {
  readonly kind: string;
  /** Options of a new, empty database; each DataSource made of the same ones is a way to it. */
  fresh(): Promise<DataSourceOptions>;
  close(): void;
}

type Migrations = readonly (new () => MigrationInterface)[];

export function dataSourceOf(
  database: DataSourceOptions,
  migrations: Migrations,
  entities: DataSourceOptions['entities'] = [],
): DataSource {
  return new DataSource({
    ...database,
    entities,
    migrations: [...migrations],
    migrationsTableName: 'varlog_migrations',
  } as DataSourceOptions);
}

function sqliteDatabases(): TestDatabases {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-sql-'));
  let count = 0;
  return {
    kind: 'better-sqlite3',
    // Two appliers in one process: the one that waits for a lock keeps the other from letting it go.
    fresh: async () => ({
      type: 'better-sqlite3',
      database: join(folder, `${++count}.db`),
      timeout: 20,
    }),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What the tests of a suite are given: databases of one kind, and ways to them that are closed after each test. */
export class SuiteDatabases {
  private databases: TestDatabases | undefined;
  private readonly sources: DataSource[] = [];

  /** Options of a new, empty database. */
  fresh(): Promise<DataSourceOptions> {
    return this.databases!.fresh();
  }

  /** A way to a database. */
  sourceOf(database: DataSourceOptions, migrations: Migrations): DataSource {
    const source = dataSourceOf(database, migrations);
    this.sources.push(source);
    return source;
  }

  /** Registers what starts the databases before all tests, and cleans up behind each test and behind all. */
  register(start: () => TestDatabases | Promise<TestDatabases>, suite: Suite): void {
    beforeAll(async () => {
      this.databases = await start();
    }, 60_000);
    suite(this);
    // Behind those of the suite, which end what uses these.
    afterEach(async () => {
      for (const it of this.sources.splice(0)) if (it.isInitialized) await it.destroy();
    });
    afterAll(() => this.databases?.close());
  }
}

type Suite = (databases: SuiteDatabases) => void;

/** Describes a suite against SQLite and against PostgreSQL, and with `only` what is to be seen on one of them. */
export function onEachDatabase(
  name: string,
  suite: Suite,
  only: { readonly sqlite?: Suite; readonly postgres?: Suite } = {},
): void {
  const on = (start: () => TestDatabases | Promise<TestDatabases>, more?: Suite) => (): void =>
    new SuiteDatabases().register(start, (databases) => {
      suite(databases);
      more?.(databases);
    });
  describe(`${name} in SQLite`, on(sqliteDatabases, only.sqlite));
  describePostgres(`${name} in Postgres`, on(postgresDatabases, only.postgres));
}

const INSTALLED = '/usr/lib/postgresql';

/** Describes tests against PostgreSQL, or says why they are skipped. */
export function describePostgres(name: string, tests: () => void): void {
  if (existsSync(INSTALLED)) describe(name, tests);
  else describe.skip(`${name} (not installed: apt-get install postgresql)`, tests);
}

/** A server of its own in a temporary folder. */
export async function postgresDatabases(): Promise<TestDatabases> {
  const version = readdirSync(INSTALLED).sort().at(-1) as string;
  const bin = (name: string): string => join(INSTALLED, version, 'bin', name);
  const folder = mkdtempSync(join(tmpdir(), 'varlog-postgres-'));
  const user = account();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid as number);
  const run = (name: string, args: string[]): void => {
    const { status, stderr } = spawnSync(bin(name), args, {
      ...user,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
  };
  const data = join(folder, 'data');
  const address = (await freeAddresses(1))[0]!;
  const port = Number(address.split(':')[1]);
  const flags = `-p ${port} -c listen_addresses=127.0.0.1 -c fsync=off -k ${folder}`;
  run('initdb', ['-D', data, '-U', 'varlog', '-A', 'trust']);
  run('pg_ctl', ['-D', data, '-w', '-l', join(folder, 'log'), '-o', flags, 'start']);
  const options = { type: 'postgres', host: '127.0.0.1', port, username: 'varlog' } as const;
  let count = 0;
  return {
    kind: 'postgres',
    fresh: async () => {
      const database = `test${++count}`;
      const admin = await new DataSource({ ...options, database: 'postgres' }).initialize();
      await admin.query(`CREATE DATABASE ${database}`);
      await admin.destroy();
      return { ...options, database };
    },
    close: () => {
      run('pg_ctl', ['-D', data, '-w', '-m', 'immediate', 'stop']);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root. */
function account(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
