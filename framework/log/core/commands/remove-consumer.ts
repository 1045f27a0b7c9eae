import { RemoveConsumer as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { noTopic } from '../metadata-result.ts';
import { removeConsumerOf } from '../topic-consumers.ts';

/** Forgets a consumer, with what it has parked: it holds no records any more. */
export interface RemoveConsumer {
  readonly kind: 'removeConsumer';
  readonly topicId: number;
  readonly name: string;
}

export const removeConsumer: CommandDefinition<RemoveConsumer, Message> = {
  kind: 'removeConsumer',
  number: 33,
  level: 6,
  senders: ['client', 'operator'],
  describe: ({ topicId, name }) => `remove consumer "${name}" of topic ${topicId}`,
  message: Message,
  toMessage: ({ topicId, name }) => ({ topicId, name }),
  fromMessage: ({ topicId, name }) => ({ kind: 'removeConsumer', topicId, name }),
  apply(state, { topicId, name }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const refusal = removeConsumerOf(topic, name);
    return refusal === undefined ? DONE : refused(refusal);
  },
};
