import { Fence as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { reassigned } from '../metadata-changes.ts';
import { noLogStream, noTopic, type Refusal, refuse } from '../metadata-result.ts';

/**
 * Gives log streams a fencing token, from which on primaries refuse appends that carry an older one. Tokens of a log
 * stream never fall, so that the command may be carried out twice, or late.
 */
export interface Fence {
  readonly kind: 'fence';
  readonly topicId: number;
  /** 0: all log streams of the topic, also those that will be. */
  readonly logStreamId: number;
  readonly token: number;
}

export const fence: CommandDefinition<Fence, Message> = {
  kind: 'fence',
  number: 22,
  level: 6,
  senders: ['client', 'operator'],
  describe: ({ topicId, logStreamId, token }) =>
    `fence ${logStreamId === 0 ? '' : `log stream ${logStreamId} of `}topic ${topicId} by token ${token}`,
  message: Message,
  toMessage: ({ topicId, logStreamId, token }) => ({ topicId, logStreamId, token }),
  fromMessage: ({ topicId, logStreamId, token }) => ({
    kind: 'fence',
    topicId,
    logStreamId,
    token,
  }),
  apply(state, { topicId, logStreamId, token }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const isAll = logStreamId === 0;
    const concerned = topic.logStreams
      .filter((id) => isAll || id === logStreamId)
      .map((id) => state.logStreams.get(id)!);
    if (!isAll && concerned.length === 0)
      return refused(noLogStream(logStreamId, topic.logStreams));
    if (!Number.isSafeInteger(token) || token < 1) return refused(noToken(token));
    const newest = Math.max(isAll ? topic.fence : 0, ...concerned.map((it) => it.fence));
    if (token < newest) return refused(older(topicId, token, newest));
    if (isAll) topic.fence = token;
    topic.newestToken = Math.max(topic.newestToken, token);
    const changed = concerned.filter((it) => it.fence !== token);
    for (const it of changed) it.fence = token;
    return done(0, reassigned(changed));
  },
};

function noToken(token: number): Refusal {
  const next = 'give a whole number from 1, below 2^53, or none: then the next one is drawn';
  return refuse('INVALID_ARGUMENT', `${token} cannot be a fencing token`, next);
}

function older(topicId: number, token: number, newest: number): Refusal {
  const what = `topic ${topicId} is fenced by token ${newest}, and ${token} is older`;
  const next = 'somebody took over since: stop, or fence anew with the next token';
  return refuse('CONDITION_FAILED', what, next);
}
