import { parseTcpAddress, type TopicId, VarlogError } from '../../base/index.ts';

const SCHEME = 'varlog://';
const DEFAULT_PORT = 9092;

/** Where a cluster is. */
export interface ClusterAddress {
  /** `host:port` of its nodes; IPv6 in brackets. */
  readonly addresses: readonly string[];
  /** The topic that the address names. */
  readonly topicId: TopicId | undefined;
}

/**
 * Reads what a user gave as endpoints: `host:port` each, or `varlog://host:port,host:port/topic`, where the
 * port (9092) and the topic may be left out. Throws `INVALID_ARGUMENT`.
 */
export function parseEndpoints(endpoints: string | readonly string[]): ClusterAddress {
  const given: readonly unknown[] = Array.isArray(endpoints) ? endpoints : [endpoints];
  const addresses = new Set<string>();
  let topicId: TopicId | undefined;
  for (const text of given) {
    if (typeof text !== 'string') throw bad(String(text));
    const isUrl = text.startsWith(SCHEME);
    const [hosts = '', path = '', ...rest] = isUrl ? text.slice(SCHEME.length).split('/') : [text];
    if (rest.length > 0) throw bad(text);
    for (const host of hosts.split(',')) addresses.add(addressOf(host.trim(), isUrl));
    if (path === '') continue;
    const id = /^\d+$/.test(path) ? Number(path) : 0;
    if (!(id >= 1 && id < 2 ** 31)) throw badTopic(path, text);
    if (topicId !== undefined && topicId !== id)
      throw badTopic(`${topicId} and ${id}`, 'endpoints');
    topicId = id;
  }
  if (addresses.size === 0) throw bad('[]');
  return { addresses: [...addresses], topicId };
}

function addressOf(text: string, isUrl: boolean): string {
  const hasPort = /:\d*$/.test(text);
  const { host, port } =
    parseTcpAddress(isUrl && !hasPort ? `${text}:${DEFAULT_PORT}` : text) ?? {};
  // Port 0 is any free one, where somebody listens: nobody is reached at it.
  if (!host || !port) throw bad(text);
  return `${host}:${port}`;
}

function bad(text: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `"${text}" is not an endpoint`,
    next: 'give host:port of any node, [address]:port for IPv6, or varlog://host:port,host:port/topic',
  });
}

function badTopic(path: string, text: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `"${path}" in "${text}" is not a topic`,
    next: 'write the id of one topic behind the last address, or leave it out',
  });
}
