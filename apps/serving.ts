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

/** By these a process is told to end; a terminal that is closed sends the last one. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Resolves when the process was told to end and the replica is closed. Rejects when the replica failed. */
export async function serveUntilStopped(replica: Serving): Promise<void> {
  const stopRequested = new Promise<void>((resolve) => {
    for (const event of [...STOP_SIGNALS, 'disconnect']) process.once(event, () => resolve());
    // The process that started this one may have gone while the replica was starting.
    if (process.send !== undefined && !process.connected) resolve();
  });
  try {
    await Promise.race([stopRequested, replica.failed]);
  } finally {
    // The channel to the process that started this one would keep it alive.
    if (process.connected) process.disconnect();
    await replica.close();
  }
}
