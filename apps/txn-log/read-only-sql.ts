import type { DataSource } from 'typeorm';
import { VarlogError } from 'varlog/log';

/** So many rows of an answer are returned. */
const ROWS_MAX = 1_000;

/**
 * Answers a question in SQL: one SELECT, on a connection that cannot write. For people who are trusted
 * to ask reasonable questions: on SQLite a long one makes the whole process wait. Rejects with
 * `INVALID_ARGUMENT`.
 */
export async function askInSql(reader: DataSource, query: string): Promise<unknown[]> {
  const text = query.trim().replace(/;$/, '');
  if (!/^(select|with|values)\b/i.test(text)) throw refused('it is not a SELECT');
  const postgres = reader.options.type === 'postgres';
  // A parameter makes both drivers refuse all but a single statement.
  const limited = `SELECT * FROM (${text}\n) AS answer LIMIT ${postgres ? '$1' : '?'}`;
  const runner = reader.createQueryRunner();
  try {
    if (postgres) await runner.query('START TRANSACTION READ ONLY');
    return (await runner.query(limited, [ROWS_MAX])) as unknown[];
  } catch (cause) {
    throw refused(cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    if (postgres) await runner.query('ROLLBACK');
    await runner.release();
  }
}

function refused(because: string, cause?: unknown): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'the query was refused',
    because,
    next: 'ask with one SELECT over account, transfer and posting',
    cause,
  });
}
