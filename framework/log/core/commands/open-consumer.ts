import { OpenConsumer as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { noTopic } from '../metadata-result.ts';
import { type ConsumerBegin, openConsumerOf } from '../topic-consumers.ts';

/**
 * Begins a life of a consumer, which fences those before it, and registers the consumer where it is new: from then on
 * it holds what it has not done. Answers the epoch: the same one to an `owner` that asks again.
 */
export interface OpenConsumer {
  readonly kind: 'openConsumer';
  readonly topicId: number;
  readonly name: string;
  readonly owner: string;
  readonly begin: ConsumerBegin;
}

export const openConsumer: CommandDefinition<OpenConsumer, Message> = {
  kind: 'openConsumer',
  number: 30,
  level: 6,
  senders: ['client', 'operator'],
  describe: ({ topicId, name }) => `open consumer "${name}" of topic ${topicId}`,
  message: Message,
  toMessage: ({ topicId, name, owner, begin }) => ({
    topicId,
    name,
    owner,
    end: begin === 'end',
    position: typeof begin === 'number' ? begin : null,
  }),
  fromMessage: ({ topicId, name, owner, end, position }) => ({
    kind: 'openConsumer',
    topicId,
    name,
    owner,
    begin: end ? 'end' : (position ?? 'start'),
  }),
  apply(state, { topicId, ...life }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const opened = openConsumerOf(topic, life);
    return typeof opened === 'number' ? done(opened) : refused(opened);
  },
};
