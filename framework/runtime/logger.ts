import { type Logger, reasonOf } from '../base/index.ts';

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LEVELS)[number];

/** Writes one JSON object a line to the standard error, or to `write`, from `level` upwards. */
export function jsonLogger(
  level: LogLevel,
  write: (line: string) => void = (line) => process.stderr.write(line),
): Logger {
  const least = LEVELS.indexOf(level);
  return {
    log: (at, event, fields) => {
      if (LEVELS.indexOf(at) < least) return;
      const line = { time: new Date().toISOString(), level: at, event, ...fields };
      write(`${stringify(line)}\n`);
    },
  };
}

/** A note must not fail: what JSON has no words for is described. */
function stringify(line: object): string {
  try {
    return JSON.stringify(line, (_, value: unknown) => {
      if (value instanceof Error) return { ...value, message: value.message, stack: value.stack };
      return typeof value === 'bigint' ? `${value}` : value;
    });
  } catch (error) {
    const { time, level, event } = line as Record<string, unknown>;
    return JSON.stringify({ time, level, event, unwritable: reasonOf(error) });
  }
}
