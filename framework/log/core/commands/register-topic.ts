import { RegisterTopic as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { isId } from '../id-pool.ts';
import { noId, noIdLeft, refuse } from '../metadata-result.ts';
import { KEEPS_ALL } from '../retention.ts';
import type { Acknowledge } from '../topic-state.ts';

/** Makes a topic. Id 0: the next free one. */
export interface RegisterTopic {
  readonly kind: 'registerTopic';
  readonly id: number;
  readonly acknowledge: Acknowledge;
}

export const registerTopic: CommandDefinition<RegisterTopic, Message> = {
  kind: 'registerTopic',
  number: 6,
  level: 3,
  senders: ['operator'],
  describe: ({ id, acknowledge }) =>
    `make topic ${id === 0 ? 'of the next id' : id}, acknowledged by ${acknowledge}`,
  message: Message,
  toMessage: ({ id, acknowledge }) => ({ id, acknowledgeAll: acknowledge === 'all' }),
  fromMessage: ({ id, acknowledgeAll }) => ({
    kind: 'registerTopic',
    id,
    acknowledge: acknowledgeAll ? 'all' : 'majority',
  }),
  apply(state, { id: wanted, acknowledge }) {
    const id = wanted === 0 ? state.topicIds.free : wanted;
    if (id === undefined) return refused(noIdLeft('topic'));
    if (!isId(id)) return refused(noId('topic', id));
    const known = state.topics.get(id);
    if (known !== undefined) {
      const same = known.acknowledge === acknowledge && known.logStreams.length === 0;
      if (same) return done(id);
      return refused(refuse('ALREADY_EXISTS', `topic ${id} exists`, 'choose another id'));
    }
    if (state.topicIds.wasGiven(id)) {
      const what = `topic ${id} existed before`;
      return refused(refuse('ALREADY_EXISTS', what, 'ids are never used again'));
    }
    state.topicIds.give(id);
    const empty = { highWatermark: 0, trimmed: 0, holds: [], retention: KEEPS_ALL, logStreams: [] };
    const noProducers = { producerEpoch: 0, producers: [], fence: 0, newestToken: 0 };
    const noConsumers = { consumerEpoch: 0, consumers: [] };
    state.topics.set(id, { id, acknowledge, ...empty, ...noProducers, ...noConsumers });
    return done(id);
  },
};
