import type { Server as HttpServer } from 'node:http';
import { VarlogError } from 'varlog/log';

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

/** Resolves when the process was told to end and the replica is closed. Rejects when the replica failed. */
export async function serveUntilTold(replica: Serving): Promise<void> {
  const told = new Promise<void>((resolve) => {
    for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) process.once(event, () => resolve());
  });
  try {
    await Promise.race([told, replica.failed]);
  } finally {
    // The channel to the process that started this one would keep it alive.
    if (process.connected) process.disconnect();
    await replica.close();
  }
}

/**
 * Listens at `host:port`; resolves with the address that was bound. Rejects with `ADDRESS_IN_USE` or
 * `INVALID_ARGUMENT`.
 */
export function listen(server: HttpServer, address: string): Promise<string> {
  const [, host = '', digits] = /^(.+):(\d{1,5})$/.exec(address) ?? [];
  const port = Number(digits);
  return new Promise((resolve, reject) => {
    if (!(port < 65_536)) throw listenError(address, 'it is not host:port');
    server.once('error', (cause) => reject(listenError(address, cause.message)));
    server.listen(port, host.replace(/^\[|\]$/g, ''), () => {
      const bound = server.address();
      resolve(`${host}:${typeof bound === 'object' && bound !== null ? bound.port : port}`);
    });
  });
}

/** Ends a server and its connections. */
export function stopListening(server: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Why an address could not be listened on. */
export function listenError(address: string, because: string): VarlogError {
  if (because.includes('EADDRINUSE')) {
    return new VarlogError('ADDRESS_IN_USE', {
      what: `something listens on ${address} already`,
      next: 'stop it, or choose another port',
    });
  }
  return new VarlogError('INVALID_ARGUMENT', {
    what: `cannot listen on ${address}`,
    because,
    next: 'give host:port of this machine, with a port that this user may use',
  });
}
