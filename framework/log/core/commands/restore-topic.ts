import { RestoreTopic as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, done, refused } from '../command-definition.ts';
import { revise } from '../log-stream-state.ts';
import { reassigned } from '../metadata-changes.ts';
import { noTopic } from '../metadata-result.ts';
import { giveBack, refusalOfReturn } from '../storage-nodes.ts';

/** Brings back a topic that was unregistered, as long as it is remembered. */
export interface RestoreTopic {
  readonly kind: 'restoreTopic';
  readonly id: number;
}

export const restoreTopic: CommandDefinition<RestoreTopic, Message> = {
  kind: 'restoreTopic',
  number: 9,
  level: 3,
  senders: ['operator'],
  describe: ({ id }) => `bring back topic ${id}`,
  message: Message,
  toMessage: ({ id }) => ({ id }),
  fromMessage: ({ id }) => ({ kind: 'restoreTopic', id }),
  apply(state, { id }) {
    if (state.topics.has(id)) return DONE;
    const at = state.deletedTopics.findIndex((it) => it.id === id);
    if (at === -1) return refused(noTopic(id));
    const { logStreams, ...topic } = state.deletedTopics[at]!;
    const refusal = refusalOfReturn(state.storageNodes, id, logStreams);
    if (refusal !== undefined) return refused(refusal);
    state.deletedTopics.splice(at, 1);
    state.topics.set(id, { ...topic, logStreams: logStreams.map((it) => it.id) });
    for (const stream of logStreams) {
      // It opens like any sealed one, once its replicas say that they hold all of it.
      stream.sealed = true;
      revise(stream, 'restored', undefined);
      state.logStreams.set(stream.id, stream);
      giveBack(state.storageNodes, stream.id, stream.replicas);
    }
    return done(0, reassigned(logStreams));
  },
};
