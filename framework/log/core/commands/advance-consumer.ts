import { AdvanceConsumer as Message, ParkedRecord } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { noTopic } from '../metadata-result.ts';
import { advanceConsumerOf, type ConsumerStep } from '../topic-consumers.ts';

/** A consumer says how far it is, which records it has parked, and which of those are done. */
export interface AdvanceConsumer extends ConsumerStep {
  readonly kind: 'advanceConsumer';
  readonly topicId: number;
}

export const advanceConsumer: CommandDefinition<AdvanceConsumer, Message> = {
  kind: 'advanceConsumer',
  number: 31,
  level: 6,
  senders: ['client', 'operator'],
  describe: ({ topicId, name, position }) =>
    `consumer "${name}" of topic ${topicId} is at ${position}`,
  message: Message,
  toMessage: ({ kind: _, parked, settled, ...step }) => ({
    ...step,
    parked: parked.map((it) => ParkedRecord.create({ ...it })),
    settled: [...settled],
  }),
  fromMessage: ({ topicId, name, epoch, sequence, position, parked, settled }) => ({
    kind: 'advanceConsumer',
    topicId,
    name,
    epoch,
    sequence,
    position,
    parked: parked.map(({ glsn, attempts, cause, at, replay }) => {
      return { glsn, attempts, cause, at, replay };
    }),
    settled,
  }),
  apply(state, { topicId, ...step }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const refusal = advanceConsumerOf(topic, step);
    return refusal === undefined ? DONE : refused(refusal);
  },
};
