import { UnregisterTopic as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { reassigned } from '../metadata-changes.ts';
import { noTopic } from '../metadata-result.ts';
import { takeAway } from '../storage-nodes.ts';

/** The snapshot holds each of them: those that were deleted before so many others are forgotten. */
const DELETED_TOPICS_MAX = 16;

/** Deletes a topic and its log streams. It can be brought back as long as it is remembered. */
export interface UnregisterTopic {
  readonly kind: 'unregisterTopic';
  readonly id: number;
}

export const unregisterTopic: CommandDefinition<UnregisterTopic, Message> = {
  kind: 'unregisterTopic',
  number: 15,
  level: 3,
  senders: ['operator'],
  describe: ({ id }) => `delete topic ${id}`,
  message: Message,
  toMessage: ({ id }) => ({ id }),
  fromMessage: ({ id }) => ({ kind: 'unregisterTopic', id }),
  apply(state, { id }) {
    const topic = state.topics.get(id);
    if (topic === undefined) return refused(noTopic(id, state.topics.keys()));
    const logStreams = topic.logStreams.map((it) => state.logStreams.get(it)!);
    state.deletedTopics.push({ ...topic, logStreams });
    state.deletedTopics.splice(0, state.deletedTopics.length - DELETED_TOPICS_MAX);
    for (const stream of logStreams) {
      state.logStreams.delete(stream.id);
      takeAway(state.storageNodes, stream.id, stream.replicas);
    }
    state.topics.delete(id);
    return done(0, reassigned(logStreams));
  },
};
