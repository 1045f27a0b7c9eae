import { SetReplicationFactor as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { MOVES_FROM } from '../feature-level.ts';
import { revise } from '../log-stream-state.ts';
import { noTopic, refuse } from '../metadata-result.ts';

/** As in the configuration of a member. */
const REPLICATION_FACTOR_MAX = 7;

/** How many replicas each log stream of a topic is to have: some are added when there are nodes, or removed. */
export interface SetReplicationFactor {
  readonly kind: 'setReplicationFactor';
  readonly topicId: number;
  readonly replicationFactor: number;
}

export const setReplicationFactor: CommandDefinition<SetReplicationFactor, Message> = {
  kind: 'setReplicationFactor',
  number: 28,
  level: MOVES_FROM,
  senders: ['operator'],
  describe: ({ topicId, replicationFactor }) =>
    `give each log stream of topic ${topicId} ${replicationFactor} replicas`,
  message: Message,
  toMessage: ({ topicId, replicationFactor }) => ({ topicId, replicationFactor }),
  fromMessage: ({ topicId, replicationFactor }) => ({
    kind: 'setReplicationFactor',
    topicId,
    replicationFactor,
  }),
  apply(state, { topicId, replicationFactor }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const isCount = Number.isInteger(replicationFactor) && replicationFactor >= 1;
    if (!isCount || replicationFactor > REPLICATION_FACTOR_MAX) {
      const what = `a log stream cannot have ${replicationFactor} replicas`;
      return refused(refuse('INVALID_ARGUMENT', what, `give 1 to ${REPLICATION_FACTOR_MAX}`));
    }
    for (const id of topic.logStreams) {
      const stream = state.logStreams.get(id)!;
      if (stream.replicationFactor === replicationFactor) continue;
      stream.replicationFactor = replicationFactor;
      revise(stream, `told to have ${replicationFactor} replicas`, undefined);
    }
    return DONE;
  },
};
