import { DrawFencingToken as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { noTopic, refuse } from '../metadata-result.ts';

/**
 * Gives out a fencing token, higher than all that the topic has had. It fences nobody: so it may be carried out twice, or late, as
 * the command `fence` may, which comes after it.
 */
export interface DrawFencingToken {
  readonly kind: 'drawFencingToken';
  readonly topicId: number;
}

export const drawFencingToken: CommandDefinition<DrawFencingToken, Message> = {
  kind: 'drawFencingToken',
  number: 23,
  level: 6,
  senders: ['client', 'operator'],
  describe: ({ topicId }) => `draw a fencing token of topic ${topicId}`,
  message: Message,
  toMessage: ({ topicId }) => ({ topicId }),
  fromMessage: ({ topicId }) => ({ kind: 'drawFencingToken', topicId }),
  apply(state, { topicId }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const token = topic.newestToken + 1;
    if (!Number.isSafeInteger(token)) {
      const what = `topic ${topicId} has had token ${topic.newestToken}, and there is no higher one`;
      return refused(refuse('FAILED_PRECONDITION', what, 'use a new topic'));
    }
    topic.newestToken = token;
    return done(token);
  },
};
