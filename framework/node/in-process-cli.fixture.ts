import type { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { runCli } from './command-line.ts';

/** What a run of the `varlog` command left: its exit code and what it wrote. */
export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface RunOptions {
  /** Its standard input. */
  readonly input?: string | Uint8Array;
  /** Hears all that was written so far, on either stream. */
  readonly wrote?: (text: string) => void;
}

/** Runs the `varlog` command in this process, one at a time. */
export async function varlog(
  args: readonly string[],
  { input = '', wrote = () => {} }: RunOptions = {},
): Promise<Finished> {
  const written = { out: '', err: '' };
  const keep = (stream: 'out' | 'err') => (data: string | Uint8Array) => {
    written[stream] += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    wrote(written.out + written.err);
    return true;
  };
  const stdin = Readable.from(input.length === 0 ? [] : [Buffer.from(input)]);
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation(keep('out')),
    jest.spyOn(process.stderr, 'write').mockImplementation(keep('err')),
    jest.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as typeof process.stdin),
  ];
  const { exitCode, connected, send } = process;
  // It would take leave of whoever runs the tests.
  Object.assign(process, { connected: false, send: undefined });
  const forget = [
    forgetListeners(process, ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']),
    forgetListeners(process.stdout, ['error']),
    forgetListeners(process.stderr, ['error']),
  ];
  process.exitCode = 0;
  try {
    await runCli(['node', 'varlog', ...args]);
    return { code: Number(process.exitCode), ...written };
  } finally {
    Object.assign(process, { exitCode, connected, send });
    for (const it of spies) it.mockRestore();
    for (const it of forget) it();
  }
}

/** A run of the command listens as if it were the only one of its process: takes away what has come since. */
function forgetListeners(emitter: EventEmitter, events: readonly string[]): () => void {
  const before = new Map(events.map((event) => [event, new Set(emitter.rawListeners(event))]));
  return () => {
    for (const [event, known] of before) {
      for (const it of emitter.rawListeners(event)) {
        if (!known.has(it)) emitter.removeListener(event, it as () => void);
      }
    }
  };
}
