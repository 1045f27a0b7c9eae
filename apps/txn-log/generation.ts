import { Varlog, VarlogError } from 'varlog/log';
import { Closers, tlsFromEnvironment } from 'varlog/node';
import { type SqlReplica, type SqlReplicaOptions, startSqlReplica } from 'varlog/smr/sql';
import type { LedgerDatabase } from './database.ts';
import type { LedgerCommand } from './ledger-command.ts';
import { LedgerMachine, type LedgerResult } from './ledger-machine.ts';
import { ReadOnlySql } from './read-only-sql.ts';

const NAME = 'ledger';

export type LedgerLog =
  | { endpoints: string | readonly string[]; topic: number; token?: string | undefined }
  | SqlReplicaOptions<never, never>['log'];

/** One database of the ledger and the replica that keeps it. A rebuilt ledger has another one. */
export interface Generation {
  readonly number: number;
  readonly replica: SqlReplica<LedgerCommand, LedgerResult>;
  readonly sql: ReadOnlySql;
  /** What another generation, which is to be removed, kept of the log may be trimmed. */
  letGoFor(other: LedgerDatabase): Promise<void>;
  close(): Promise<void>;
}

/** Opens a database, and has it follow the log; that waits until the log answers, or rejects with the reason of `signal`. */
export async function startGeneration(
  number: number,
  { writer, reader }: LedgerDatabase,
  where: LedgerLog,
  callTimeoutMs: number,
  signal: AbortSignal,
): Promise<Generation> {
  const closers = new Closers();
  const close = (): Promise<void> => closers.close();
  for (const it of [writer, reader])
    closers.add(async () => (it.isInitialized ? it.destroy() : undefined));
  try {
    let topic: ReturnType<Varlog['topic']> | undefined;
    if ('endpoints' in where) {
      const tls = tlsFromEnvironment(process.env);
      const varlog = await Varlog.connect({ endpoints: where.endpoints, tls, token: where.token });
      closers.add(() => varlog.close());
      topic = varlog.topic(where.topic);
    }
    const starting = startSqlReplica<LedgerCommand, LedgerResult>({
      machine: new LedgerMachine(),
      name: NAME,
      dataSource: writer,
      reader,
      log: topic ?? (where as SqlReplicaOptions<never, never>['log']),
      callTimeoutMs,
    });
    const replica = await unlessAborted(starting, signal);
    closers.add(() => replica.close());
    const letGoFor = async (other: LedgerDatabase): Promise<void> => {
      for (const place of await placesIn(other)) {
        try {
          await topic?.release(`machine ${NAME} ${place}`);
        } catch (error) {
          if (!VarlogError.is(error, 'NOT_FOUND')) throw error;
        }
      }
    };
    return { number, replica, sql: new ReadOnlySql(reader), letGoFor, close };
  } catch (error) {
    await close().catch(() => {}); // Why it did not start tells more.
    throw error;
  }
}

/** One that starts all the same, later, is closed. */
async function unlessAborted<T extends { close(): Promise<void> }>(
  starting: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([starting, aborted]);
  } catch (error) {
    starting.then((it) => it.close()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** By which names the log knows a database that nobody has open: none where it was not begun. */
async function placesIn({ writer }: LedgerDatabase): Promise<string[]> {
  try {
    await writer.initialize();
    const sql = "SELECT place FROM varlog_applier WHERE place <> ''";
    const rows = (await writer.query(sql)) as { place: string }[];
    return rows.map(({ place }) => place);
  } catch {
    return [];
  } finally {
    if (writer.isInitialized) await writer.destroy();
  }
}
