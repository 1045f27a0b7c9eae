import { VarlogError } from '../../base/index.ts';

const SCHEME = 'varlog://';

/**
 * The addresses in `endpoints`: `host:port` each, or `varlog://host:port,host:port`. Throws `INVALID_ARGUMENT`.
 */
export function parseEndpoints(endpoints: string | readonly string[]): string[] {
  const given = typeof endpoints === 'string' ? [endpoints] : endpoints;
  if (!Array.isArray(given)) throw bad(String(endpoints));
  const addresses = given.flatMap((text) => {
    if (typeof text !== 'string') throw bad(String(text));
    const plain = text.startsWith(SCHEME) ? text.slice(SCHEME.length).replace(/\/$/, '') : text;
    return plain.split(',').map((it) => it.trim());
  });
  for (const address of addresses) {
    const port = Number(/^(?:[^\s:/]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(address)?.[1]);
    if (!(port >= 1 && port <= 65_535)) throw bad(address);
  }
  if (addresses.length === 0) throw bad('[]');
  return [...new Set(addresses)];
}

function bad(text: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `"${text}" is not an endpoint`,
    next: 'give host:port of any node, or varlog://host:port,host:port',
  });
}
