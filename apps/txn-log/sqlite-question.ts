import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { VarlogError } from 'varlog/log';

const HEAP_MB = 64;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/**
 * What the process runs that is asked. SQLite works on a question without a pause, so only a process can be stopped in the
 * middle of one; and it has no budget for memory, so that process has one. Whole numbers that a number does not hold exactly
 * come as text.
 */
const PROGRAM = `
const [driver, file, limit] = process.argv.slice(1);
const Database = require(driver);
const database = new Database(file, { readonly: true, fileMustExist: true });
const exact = (value) =>
  typeof value !== 'bigint' ? value : Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
let query = '';
process.stdin.on('data', (chunk) => { query += chunk; });
process.stdin.on('end', () => {
  let answer;
  try {
    const rows = database.prepare(query).safeIntegers(true).all(Number(limit));
    answer = { rows };
  } catch (error) {
    answer = { refused: error.message };
  }
  process.stdout.write(JSON.stringify(answer, (_, value) => exact(value)));
});
`;

/**
 * Rows of one SELECT with one parameter, its limit, from a SQLite file. Rejects with `INVALID_ARGUMENT` where SQLite refuses it,
 * with `TIMEOUT` after `timeoutMs`, and with `RESOURCE_EXHAUSTED` for more than 16 MiB.
 */
export async function askSqlite(
  file: string,
  query: string,
  { rowsMax, timeoutMs }: { rowsMax: number; timeoutMs: number },
): Promise<unknown[]> {
  const driver = createRequire(import.meta.url).resolve('better-sqlite3');
  const program = [`--max-old-space-size=${HEAP_MB}`, '-e', PROGRAM, driver, file, String(rowsMax)];
  const limits = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: ANSWER_BYTES_MAX,
  } as const;
  const text = await new Promise<string>((resolve, reject) => {
    const child = execFile(process.execPath, program, limits, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (error.killed === true && error.code !== 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
        reject(tooLong(timeoutMs));
      else reject(tooMuch(error));
    });
    // One that ended before it was asked is told of above.
    child.stdin?.on('error', () => {});
    child.stdin?.end(query);
  });
  const answer = JSON.parse(text) as { rows: unknown[] } | { refused: string };
  if ('rows' in answer) return answer.rows;
  throw refused(answer.refused);
}

/** A question that makes no sense to the database. */
export function refused(because: string, cause?: unknown): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'the query was refused',
    because,
    next: 'ask with one SELECT over account, transfer and posting',
    cause,
  });
}

/** A question that takes too long. */
export function tooLong(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the query was not answered within ${timeoutMs} ms`,
    next: 'ask for less',
  });
}

function tooMuch(cause: unknown): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `the answer to the query needs more than ${ANSWER_BYTES_MAX} bytes, or the query more than ${HEAP_MB} MiB`,
    next: 'ask for less',
    cause,
  });
}
