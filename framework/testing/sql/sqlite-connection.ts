// @ts-expect-error: it comes without types
import Database from 'better-sqlite3';

/** As much of a connection of better-sqlite3 as is used here. */
export interface SqliteConnection {
  readonly inTransaction: boolean;
  readonly open: boolean;
  prepare(sql: string): {
    pluck(): { all(...given: unknown[]): unknown[]; get(...given: unknown[]): unknown };
    all(...given: unknown[]): unknown[];
  };
  exec(sql: string): void;
  function(
    name: string,
    options: { readonly varargs?: boolean; readonly deterministic?: boolean },
    call: (...given: unknown[]) => unknown,
  ): void;
  serialize(): Buffer;
  close(): void;
}

export const openSqlite = (from: Buffer | ':memory:'): SqliteConnection =>
  new (Database as new (from: Buffer | string) => SqliteConnection)(from);
