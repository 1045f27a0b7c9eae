import { VarlogError } from '../../base/index.ts';
import { openSqlite, type SqliteConnection } from './sqlite-connection.ts';

/** Functions of SQLite that give every database something else. */
const CHANCE = { random: 0, randomblob: 1 } as const;
const NOW = ['current_timestamp', 'current_date', 'current_time'];
/** Functions of times; the number is that of the arguments before the time. Without a time they take that of now. */
const TIMES = { date: 0, time: 0, datetime: 0, julianday: 0, unixepoch: 0, strftime: 1 } as const;

/**
 * Has the functions of a connection that read the clock or chance of this machine throw, and tells `refused` before. Replicas
 * come to different rows by them, and in a simulation, which runs within a second, nobody would see it.
 */
export function refuseHostFunctions(
  connection: SqliteConnection,
  refused: (error: Error) => void,
): void {
  const refuse = (call: string, instead: string): never => {
    const error = new VarlogError('FAILED_PRECONDITION', {
      what: `${call} was called in SQL, in a simulation`,
      because: 'it differs from replica to replica, and so would their rows',
      next: `give the statement ${instead} of the context as a parameter, and have no such default`,
    });
    refused(error);
    throw error;
  };
  for (const [name, count] of Object.entries(CHANCE)) {
    const call = (): never => refuse(`${name}()`, 'random()');
    // SQLite goes by the number of arguments that are declared.
    connection.function(name, {}, count === 0 ? call : (_: unknown) => call());
  }
  for (const name of NOW) {
    connection.function(name, {}, () => refuse(name.toUpperCase(), 'time'));
  }
  const plain = openSqlite(':memory:');
  for (const [name, before] of Object.entries(TIMES)) {
    connection.function(name, { varargs: true, deterministic: true }, (...given) => {
      if (isNow(given[before])) refuse(`${name}() of now`, 'time');
      const places = given.map(() => '?').join(', ');
      return plain
        .prepare(`SELECT ${name}(${places})`)
        .pluck()
        .get(...given);
    });
  }
}

function isNow(time: unknown): boolean {
  if (time === undefined) return true;
  return typeof time === 'string' && /^\s*(now|subsec|subsecond)\s*$/i.test(time);
}
