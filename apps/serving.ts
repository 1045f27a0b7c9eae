import { VarlogError } from 'varlog/log';
import { endInTime, toldToEnd } from 'varlog/node';

/** A replica that serves, as its process sees it. */
export interface Serving {
  /** Rejects when the replica cannot go on: its process should end. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** The part of a replica that tells how it fares. */
interface Observed {
  readonly status$: {
    subscribe(next: (status: { state: string; error?: unknown }) => void): unknown;
  };
}

/** {@link Serving.failed} of a replica. */
export function failureOf(replica: Observed): Promise<never> {
  const failed = new Promise<never>((_, reject) => {
    replica.status$.subscribe(({ state, error }) => {
      if (state === 'failed') reject(error);
    });
  });
  // Whoever does not look at it is told by every call.
  failed.catch(() => {});
  return failed;
}

/**
 * Runs a replica until the process is told to end, which may be while it starts; `started` tells what is served then.
 * Rejects when it failed, and with `TIMEOUT` when it did not end within a few seconds: the process should end all the same.
 */
export async function serveUntilStopped<R extends Serving>(
  start: () => Promise<R>,
  started: (replica: R) => void = () => {},
): Promise<void> {
  const stop = toldToEnd();
  const work = async (): Promise<void> => {
    const replica = await start();
    try {
      started(replica);
      await Promise.race([stop, replica.failed]);
    } finally {
      await replica.close();
    }
  };
  try {
    await endInTime(stop, work());
  } catch (error) {
    // Once it was said: what hangs would keep the process alive.
    if (VarlogError.is(error, 'TIMEOUT')) setImmediate(() => process.exit());
    throw error;
  } finally {
    // The channel to the process that started this one would keep it alive.
    if (process.connected) process.disconnect();
  }
}
