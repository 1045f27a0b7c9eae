import { RegisterLogStream as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { isId } from '../id-pool.ts';
import { newLogStream } from '../log-stream-state.ts';
import { reassigned } from '../metadata-changes.ts';
import { noId, noIdLeft, noTopic, refuse } from '../metadata-result.ts';
import { refusalOfPlacement } from '../storage-nodes.ts';

/** Makes a log stream of a topic. Id 0: the next free one. */
export interface RegisterLogStream {
  readonly kind: 'registerLogStream';
  readonly id: number;
  readonly topicId: number;
  readonly replicas: readonly number[];
}

export const registerLogStream: CommandDefinition<RegisterLogStream, Message> = {
  kind: 'registerLogStream',
  number: 4,
  level: 3,
  senders: ['operator'],
  describe: ({ topicId, replicas }) =>
    `make a log stream of topic ${topicId} on storage nodes ${replicas.join(', ')}`,
  message: Message,
  toMessage: ({ id, topicId, replicas }) => ({ id, topicId, replicas: [...replicas] }),
  fromMessage: ({ id, topicId, replicas }) => ({
    kind: 'registerLogStream',
    id,
    topicId,
    replicas,
  }),
  apply(state, { id: wanted, topicId, replicas }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const bad = refusalOfPlacement(state.storageNodes, replicas);
    if (bad !== undefined) return refused(bad);
    const id = wanted === 0 ? state.logStreamIds.free : wanted;
    if (id === undefined) return refused(noIdLeft('log stream'));
    if (!isId(id)) return refused(noId('log stream', id));
    const known = state.logStreams.get(id);
    if (known !== undefined) {
      const same = known.topicId === topicId && String(known.replicas) === String(replicas);
      if (same) return done(id);
      const what = `log stream ${id} exists`;
      return refused(refuse('ALREADY_EXISTS', what, 'choose another id'));
    }
    if (state.logStreamIds.wasGiven(id)) {
      const what = `log stream ${id} existed before`;
      return refused(refuse('ALREADY_EXISTS', what, 'ids are never used again'));
    }
    state.logStreamIds.give(id);
    const stream = newLogStream(id, topicId, replicas);
    // Whoever was fenced off elsewhere in the topic finds no way in here.
    stream.fence = topic.fence;
    state.logStreams.set(id, stream);
    topic.logStreams.push(id);
    topic.logStreams.sort((a, b) => a - b);
    return done(id, reassigned([stream]));
  },
};
