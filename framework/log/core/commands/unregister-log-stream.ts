import { UnregisterLogStream as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { reassigned } from '../metadata-changes.ts';
import { noLogStream, refuse } from '../metadata-result.ts';
import { takeAway } from '../storage-nodes.ts';

/** Removes a sealed log stream and its records, for good. */
export interface UnregisterLogStream {
  readonly kind: 'unregisterLogStream';
  readonly id: number;
}

export const unregisterLogStream: CommandDefinition<UnregisterLogStream, Message> = {
  kind: 'unregisterLogStream',
  number: 13,
  level: 3,
  senders: ['operator'],
  describe: ({ id }) => `remove log stream ${id}`,
  message: Message,
  toMessage: ({ id }) => ({ id }),
  fromMessage: ({ id }) => ({ kind: 'unregisterLogStream', id }),
  apply(state, { id }) {
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    if (!stream.sealed) {
      const what = `log stream ${id} is running`;
      return refused(refuse('FAILED_PRECONDITION', what, 'seal it first'));
    }
    const siblings = state.topics.get(stream.topicId)!.logStreams;
    siblings.splice(siblings.indexOf(id), 1);
    state.logStreams.delete(id);
    takeAway(state.storageNodes, id, stream.replicas);
    return done(0, reassigned([stream]));
  },
};
