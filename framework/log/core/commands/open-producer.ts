import { OpenProducer as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { STORAGE_NODES_AGREE_FROM } from '../feature-level.ts';
import { noTopic, refuse } from '../metadata-result.ts';
import type { MetadataState } from '../metadata-state.ts';
import { PRODUCER_PLACES_MAX, type TopicState } from '../topic-state.ts';

/** An epoch is four bytes in the header of a batch. */
const EPOCH_MAX = 2 ** 32 - 1;

/**
 * Gives a producer of a topic an epoch, higher than all that were given out for the topic before, and a log stream:
 * where it appended before, so that its earlier lives are fenced there, or one in turn. Answers the epoch.
 */
export interface OpenProducer {
  readonly kind: 'openProducer';
  readonly topicId: number;
  readonly producer: number;
}

export const openProducer: CommandDefinition<OpenProducer, Message> = {
  kind: 'openProducer',
  number: 19,
  level: STORAGE_NODES_AGREE_FROM,
  senders: ['client', 'operator'],
  describe: ({ topicId, producer }) => `open producer ${producer} of topic ${topicId}`,
  message: Message,
  toMessage: ({ topicId, producer }) => ({ topicId, producer }),
  fromMessage: ({ topicId, producer }) => ({ kind: 'openProducer', topicId, producer }),
  apply(state, { topicId, producer }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const epoch = topic.producerEpoch + 1;
    if (epoch > EPOCH_MAX) {
      const what = `topic ${topicId} has given out ${EPOCH_MAX} epochs to producers, as many as there are`;
      return refused(refuse('FAILED_PRECONDITION', what, 'use a new topic'));
    }
    const logStream = placeOf(state, topic, producer, epoch);
    if (logStream === undefined) {
      const what = `topic ${topicId} has no log stream to append to`;
      return refused(refuse('FAILED_PRECONDITION', what, 'add one to it first'));
    }
    const others = topic.producers.filter(({ id }) => id !== producer);
    topic.producers = [...others, { id: producer, logStream }].slice(-PRODUCER_PLACES_MAX);
    topic.producerEpoch = epoch;
    return done(epoch);
  },
};

function placeOf(
  state: MetadataState,
  { logStreams, producers }: TopicState,
  producer: number,
  epoch: number,
): number | undefined {
  const before = producers.find(({ id }) => id === producer)?.logStream;
  if (before !== undefined && logStreams.includes(before)) return before;
  const open = logStreams.filter((it) => !state.logStreams.get(it)!.sealed);
  const choice = open.length > 0 ? open : logStreams;
  return choice[epoch % choice.length];
}
