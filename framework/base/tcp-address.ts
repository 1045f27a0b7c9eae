export interface TcpAddress {
  /** A name, an IPv4 address, or an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number;
}

/** Takes `host:port` apart; `undefined` where it is something else. */
export function parseTcpAddress(address: string): TcpAddress | undefined {
  const [, host, digits] =
    /^(\[[\da-fA-F:.]+(?:%\w+)?\]|[^\s:/?#[\]@=]+):(\d{1,5})$/.exec(address) ?? [];
  const port = Number(digits);
  return host !== undefined && port < 65_536 ? { host, port } : undefined;
}

/** Whether it is `host:port`. */
export function isTcpAddress(address: string): boolean {
  return parseTcpAddress(address) !== undefined;
}
