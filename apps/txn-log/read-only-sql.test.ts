import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { describePostgres, postgresDatabases, type TestDatabases } from '../../test/databases.ts';
import { ReadOnlySql } from './read-only-sql.ts';

const ENDLESS =
  'WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n FROM more) SELECT count(*) FROM more';

function suite(given: () => DataSource): void {
  test('a question without end is ended, and others are answered meanwhile', async () => {
    const sql = new ReadOnlySql(given(), 1_000);
    const endless = sql.ask(ENDLESS).then(
      () => 'answered',
      (error: unknown) => error,
    );
    let ended = false;
    void endless.then(() => {
      ended = true;
    });
    // This process goes on: it is not the one that works on the question.
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(ended).toBe(false);
    expect(await endless).toMatchObject({ code: 'TIMEOUT' });
    expect(await new ReadOnlySql(given()).ask('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  }, 30_000);

  test('more than a few questions at once are refused', async () => {
    const sql = new ReadOnlySql(given());
    const asked = await Promise.allSettled(Array.from({ length: 6 }, () => sql.ask('SELECT 1')));
    expect(asked.filter((it) => it.status === 'fulfilled')).toHaveLength(4);
    expect(asked.at(-1)).toMatchObject({ reason: { code: 'RESOURCE_EXHAUSTED' } });
  }, 30_000);
}

describe('questions in SQL, in better-sqlite3', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-questions-'));
  const source = new DataSource({ type: 'better-sqlite3', database: join(folder, 'it.db') });
  beforeAll(() => source.initialize());
  afterAll(async () => {
    await source.destroy();
    rmSync(folder, { recursive: true, force: true });
  });
  suite(() => source);

  test('whole numbers are exact, and an answer that is too large is refused', async () => {
    const sql = new ReadOnlySql(source);
    expect(await sql.ask('SELECT 9007199254740993 AS large, -7 AS small')).toEqual([
      { large: '9007199254740993', small: -7 },
    ]);
    const patient = new ReadOnlySql(source, 25_000);
    const large = patient.ask('SELECT hex(zeroblob(9000000)) AS bytes');
    await expect(large).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  }, 30_000);
});

describePostgres('questions in SQL, in Postgres', () => {
  let databases: TestDatabases;
  let source: DataSource;
  beforeAll(async () => {
    databases = await postgresDatabases();
    source = await new DataSource(await databases.fresh()).initialize();
  }, 60_000);
  afterAll(async () => {
    await source.destroy();
    databases.close();
  });
  suite(() => source);
});
