import { VarlogError } from 'varlog/log';

/** Where a log's topic is, as `Varlog.connect` and `varlog.topic` want it. */
export interface TopicAddress {
  /** `host:port,…` of any nodes, or `varlog://host:port,…/topic`. */
  readonly endpoints: string;
  readonly topic: number;
}

const DEFAULT_TOPIC = 1;

/**
 * The topic that a command line means by `--varlog` and `--topic`: the address may bring it along. Throws
 * `INVALID_ARGUMENT` where the two differ. What is wrong with an address is said by the client.
 */
export function topicAddress(varlog: string, topic: string | undefined): TopicAddress {
  const named = /^varlog:\/\/[^/]*\/(\d+)$/.exec(varlog)?.[1];
  const given = topic === undefined ? undefined : topicId(topic);
  if (named === undefined) return { endpoints: varlog, topic: given ?? DEFAULT_TOPIC };
  const id = Number(named);
  if (given === undefined || given === id) return { endpoints: varlog, topic: id };
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `--varlog names topic ${id}, and --topic names ${given}`,
    next: 'leave out one of them, or give the same one twice',
  });
}

function topicId(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `--topic ${text} is not a topic`,
    next: 'give its id, as "varlog topic ls" shows it',
  });
}
