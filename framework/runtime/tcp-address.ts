import { VarlogError } from '../base/index.ts';

export interface TcpAddress {
  /** A name, an IPv4 address, or an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number;
}

/** Takes `host:port` apart. Throws `INVALID_ARGUMENT`. */
export function tcpAddress(address: string): TcpAddress {
  const [, host, port] = /^(\[[\da-fA-F:.%]+\]|[^:[\]/\s]+):(\d{1,5})$/.exec(address) ?? [];
  if (host !== undefined && Number(port) < 65_536) return { host, port: Number(port) };
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${address}" is not an address to listen on`,
    next: 'give host:port, for example 127.0.0.1:9092',
    details: { address },
  });
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
