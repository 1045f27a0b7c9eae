import { AddConsumer as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { noTopic } from '../metadata-result.ts';
import { addConsumerOf, type ConsumerBegin } from '../topic-consumers.ts';

/** Registers a consumer that is new and does not run yet: from now on it holds what it has not done. */
export interface AddConsumer {
  readonly kind: 'addConsumer';
  readonly topicId: number;
  readonly name: string;
  readonly begin: ConsumerBegin;
}

export const addConsumer: CommandDefinition<AddConsumer, Message> = {
  kind: 'addConsumer',
  number: 34,
  level: 7,
  senders: ['client', 'operator'],
  describe: ({ topicId, name }) => `add consumer "${name}" of topic ${topicId}`,
  message: Message,
  toMessage: ({ topicId, name, begin }) => ({
    topicId,
    name,
    end: begin === 'end',
    position: typeof begin === 'number' ? begin : null,
  }),
  fromMessage: ({ topicId, name, end, position }) => ({
    kind: 'addConsumer',
    topicId,
    name,
    begin: end ? 'end' : (position ?? 'start'),
  }),
  apply(state, { topicId, name, begin }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const refusal = addConsumerOf(topic, { name, begin });
    return refusal === undefined ? DONE : refused(refusal);
  },
};
