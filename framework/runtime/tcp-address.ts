import { parseTcpAddress, type TcpAddress, VarlogError } from '../base/index.ts';

/** Takes `host:port` apart. Throws `INVALID_ARGUMENT`. */
export function tcpAddress(address: string): TcpAddress {
  const parsed = parseTcpAddress(address);
  if (parsed !== undefined) return parsed;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${address}" is not an address to listen on`,
    next: 'give host:port, for example 127.0.0.1:9092 or [::1]:9092',
    details: { address },
  });
}

/** Whether its host stands for all addresses of a machine: it can be listened on, but not dialled. */
export function isWildcard(address: string): boolean {
  return /^(0\.0\.0\.0|\[[0:]+\])$/.test(parseTcpAddress(address)?.host ?? '');
}

/** Whether a server that listens there can be reached from its own machine only. */
export function isLoopback(address: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[(0*:)+0*1\])$/i.test(parseTcpAddress(address)?.host ?? '');
}

/** What this machine reaches a server at that listens on `address`. Throws `INVALID_ARGUMENT`. */
export function localAddress(address: string): string {
  const { host, port } = tcpAddress(address);
  if (!isWildcard(address)) return address;
  return `${host.startsWith('[') ? '[::1]' : '127.0.0.1'}:${port}`;
}

/** Says why an address could not be listened on: `ADDRESS_IN_USE` or `INVALID_ARGUMENT`. */
export function listenError(address: string, cause: Error): VarlogError {
  if (cause.message.includes('EADDRINUSE')) {
    return new VarlogError('ADDRESS_IN_USE', {
      what: `something listens on ${address} already`,
      next: 'stop it, or choose another port',
      details: { address },
      cause,
    });
  }
  return new VarlogError('INVALID_ARGUMENT', {
    what: `cannot listen on ${address}`,
    because: cause.message,
    next: 'give host:port of this machine, with a port that this user may use',
    details: { address },
    cause,
  });
}
