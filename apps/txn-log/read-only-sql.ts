import type { DataSource } from 'typeorm';
import { reasonOf, VarlogError } from 'varlog/log';
import { askSqlite, refused, tooLong } from './sqlite-question.ts';

/** So many rows of an answer are returned. */
const ROWS_MAX = 1_000;
/** A question ends after so many milliseconds. */
export const QUESTION_MS = 5_000;
/** So many questions are answered side by side. */
const QUESTIONS_MAX = 4;
/** What Postgres says to a statement that it ended. */
const CANCELED = '57014';

/** Answers questions in SQL: one SELECT each, on a connection that cannot write, for a limited time. */
export class ReadOnlySql {
  private readonly reader: DataSource;
  private readonly timeoutMs: number;
  private asking = 0;

  constructor(reader: DataSource, timeoutMs: number = QUESTION_MS) {
    this.reader = reader;
    this.timeoutMs = timeoutMs;
  }

  /** The first 1,000 rows. Rejects with `INVALID_ARGUMENT`, `TIMEOUT` or `RESOURCE_EXHAUSTED`. */
  async ask(query: string): Promise<unknown[]> {
    const text = query.trim().replace(/;$/, '');
    if (!/^(select|with|values)\b/i.test(text)) throw refused('it is not a SELECT');
    if (this.asking >= QUESTIONS_MAX) throw busy();
    this.asking++;
    try {
      return await this.answer(text);
    } finally {
      this.asking--;
    }
  }

  private answer(text: string): Promise<unknown[]> {
    const { options } = this.reader;
    // A parameter makes both drivers refuse all but a single statement.
    const limited = (parameter: string): string =>
      `SELECT * FROM (${text}\n) AS answer LIMIT ${parameter}`;
    if (options.type !== 'better-sqlite3') return this.askPostgres(limited('$1'));
    const limits = { rowsMax: ROWS_MAX, timeoutMs: this.timeoutMs };
    return askSqlite(options.database as string, limited('?'), limits);
  }

  private async askPostgres(query: string): Promise<unknown[]> {
    const runner = this.reader.createQueryRunner();
    try {
      await runner.query('START TRANSACTION READ ONLY');
      await runner.query(`SET LOCAL statement_timeout = ${this.timeoutMs}`);
      return (await runner.query(query, [ROWS_MAX])) as unknown[];
    } catch (cause) {
      if ((cause as { code?: unknown }).code === CANCELED) throw tooLong(this.timeoutMs);
      throw refused(reasonOf(cause), cause);
    } finally {
      await runner.query('ROLLBACK').catch(() => {});
      await runner.release();
    }
  }
}

function busy(): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `${QUESTIONS_MAX} questions are being answered`,
    next: 'ask again later',
    outcome: 'notAppended',
  });
}
