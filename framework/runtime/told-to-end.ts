import { onAbort, VarlogError } from '../base/index.ts';
import { hostTimers } from './host-timers.ts';

/** A terminal that is closed, and a service manager that is told to reload, send SIGHUP: unheard, it would end a process at once. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Ctrl-C reaches a process from the terminal, and once more from a program such as npx that passes it on. */
const SAME_REQUEST_MS = 1_000;
/** Who supervises processes commonly kills them after ten seconds, without a word in their log. */
const END_MS = 8_000;

/**
 * Aborted by the first Ctrl-C, SIGTERM or SIGHUP. A signal that comes within a second after that says the same again; a later
 * one ends the process at once.
 */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  let first: number | undefined;
  const hear = (signal: NodeJS.Signals): void => {
    const now = hostTimers.now();
    first ??= now;
    controller.abort(interruption(signal));
    if (now - first <= SAME_REQUEST_MS) return;
    for (const it of SIGNALS) process.off(it, hear);
    process.kill(process.pid, signal);
  };
  for (const it of SIGNALS) process.on(it, hear);
  return controller.signal;
}

function interruption(signal: NodeJS.Signals): VarlogError {
  return new VarlogError('CANCELLED', {
    what: `the command was interrupted by ${signal}`,
    next: 'give it again: it begins anew, and an export goes on where it was',
  });
}

/** Resolves when a process that serves is to end: it was {@link interrupted}, or the process that started it is gone. */
export async function toldToEnd(): Promise<void> {
  await new Promise<void>((resolve) => {
    onAbort(interrupted(), resolve);
    process.once('disconnect', resolve);
    // It may have gone before anybody looked.
    if (process.send !== undefined && !process.connected) resolve();
  });
  // The channel to the process that started this one would keep it alive.
  if (process.connected) process.disconnect();
}

/**
 * What `work` comes to, which starts, serves until `told` resolves, and ends then. Rejects with `TIMEOUT` when it has not
 * ended eight seconds after it was told to: whatever it waits for, its process should not.
 */
export async function endInTime<T>(
  told: Promise<void>,
  work: Promise<T>,
  endMs: number = END_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const late = new Promise<never>((_, reject) => {
    const expire = (): void =>
      reject(
        new VarlogError('TIMEOUT', {
          what: `the process was told to end, and had not ended in order ${endMs / 1_000} s later`,
          because: 'something in it still waited, such as a disk that does not answer',
          next: 'start it again: it goes on as after a crash, and has lost nothing that was acknowledged',
        }),
      );
    void told.then(() => {
      if (!isOver) timer = hostTimers.setTimeout(expire, endMs);
    });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    isOver = true;
    hostTimers.clearTimeout(timer as NodeJS.Timeout);
  }
}
