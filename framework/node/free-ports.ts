import { createServer } from 'node:net';
import { VarlogError } from '../base/index.ts';
import { tcpAddress } from '../runtime/index.ts';

/**
 * Makes sure that nothing listens on any of `addresses`, before something is started that is only of use with all
 * of them. Rejects with `ADDRESS_IN_USE`, which names each that is taken, or `CONFIG_INVALID` when two are the same.
 */
export async function checkPortsFree(addresses: readonly string[]): Promise<void> {
  const twice = addresses.filter((it, i) => addresses.indexOf(it) !== i);
  if (twice.length > 0) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `${twice.join(', ')} would be used twice`,
      next: 'let --port and --http-port lie further apart',
    });
  }
  const probed = await Promise.all(addresses.map(isTaken));
  const taken = addresses.filter((_, i) => probed[i]);
  if (taken.length === 0) return;
  throw new VarlogError('ADDRESS_IN_USE', {
    what: `something listens on ${taken.join(', ')} already; nothing was started`,
    next: 'end it (another cluster may run on this machine), or choose other ports with --port and --http-port',
    details: { addresses: taken },
  });
}

/** Other problems with an address show when it is used. */
function isTaken(address: string): Promise<boolean> {
  const { host, port } = tcpAddress(address);
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
    probe.listen({ port, host: host.replace(/^\[|\]$/g, ''), exclusive: true }, () => {
      probe.close(() => resolve(false));
    });
  });
}
