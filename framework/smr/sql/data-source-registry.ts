import type { DataSource } from 'typeorm';
import { VarlogError } from '../../base/index.ts';
import type { Dialect } from './dialect.ts';

/** A DataSource, or the SQLite file behind it, in the hands of one replica of this process. */
export interface DataSourceClaim {
  /** Free for others as soon as `done` has settled. */
  release(done: Promise<unknown>): void;
}

type Left = { readonly done: Promise<unknown> | undefined };

/** By DataSource, and by the path of a SQLite file, to which two of them may lead. */
const sources = new WeakMap<DataSource, Left>();
const files = new Map<string, Left>();

/**
 * Opens a DataSource for one replica. Two replicas on one connection would commit each other's halves,
 * and two on one SQLite file in one process make each other wait for locks that neither can let go of
 * meanwhile. Waits for one that is being closed; rejects with `ANOTHER_APPLIER` for any other.
 */
export async function claimDataSource(
  dataSource: DataSource,
  dialect: Dialect,
): Promise<DataSourceClaim> {
  let file: string | undefined;
  const mark = (left: Left): void => {
    sources.set(dataSource, left);
    if (file !== undefined) files.set(file, left);
  };
  const free = (): void => {
    sources.delete(dataSource);
    if (file !== undefined) files.delete(file);
  };
  const occupy = (): void => mark({ done: undefined });
  await whenFree(() => sources.get(dataSource), occupy);
  try {
    if (!dataSource.isInitialized) await dataSource.initialize();
    const found = await fileOf(dataSource, dialect);
    await whenFree(
      () => (found === undefined ? undefined : files.get(found)),
      () => {
        file = found;
        occupy();
      },
      found,
    );
  } catch (error) {
    free();
    throw error;
  }
  return {
    release: (done) => {
      const freed = done.then(free, free);
      mark({ done: freed });
    },
  };
}

/** Nothing can come between the last look and `occupy`. */
async function whenFree(
  user: () => Left | undefined,
  occupy: () => void,
  file?: string,
): Promise<void> {
  for (let left = user(); left !== undefined; left = user()) {
    if (left.done === undefined) throw inUse(file);
    await left.done;
  }
  occupy();
}

async function fileOf(dataSource: DataSource, dialect: Dialect): Promise<string | undefined> {
  if (dialect.kind !== 'sqlite') return undefined;
  const attached: { name: string; file: string }[] = await dataSource.query('PRAGMA database_list');
  const file = attached.find(({ name }) => name === 'main')?.file;
  // A database in memory has none, and belongs to its connection alone.
  return file === '' ? undefined : file;
}

function inUse(file: string | undefined): VarlogError {
  return new VarlogError('ANOTHER_APPLIER', {
    what: `a replica of this process uses ${file === undefined ? 'this DataSource' : `the file ${file}`}`,
    next: 'close it first, or give each replica a DataSource and a database of its own',
  });
}
