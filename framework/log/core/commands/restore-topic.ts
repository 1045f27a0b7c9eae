import { RestoreTopic as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, done, refused } from '../command-definition.ts';
import { revise } from '../log-stream-state.ts';
import { reassigned } from '../metadata-changes.ts';
import { choices, refuse } from '../metadata-result.ts';
import { refusalOfReturn } from '../replica-change.ts';
import { giveBack } from '../storage-nodes.ts';

/**
 * Brings back a topic that was unregistered, as long as it is remembered. What its log streams lack of replicas, where storage
 * nodes were taken out meanwhile, they are given like any others.
 */
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
    if (at === -1)
      return refused(
        refuse(
          'TOPIC_NOT_FOUND',
          `there is no deleted topic ${id}`,
          choices(
            'deleted topic',
            state.deletedTopics.map((it) => it.id),
          ),
        ),
      );
    const { logStreams, ...topic } = state.deletedTopics[at]!;
    const { storageNodes, featureLevel } = state;
    for (const stream of logStreams) {
      const refusal = refusalOfReturn(stream, topic, storageNodes, featureLevel);
      if (refusal !== undefined) return refused(refusal);
    }
    state.deletedTopics.splice(at, 1);
    state.topics.set(id, { ...topic, logStreams: logStreams.map((it) => it.id) });
    for (const stream of logStreams) {
      // It opens like any sealed one, once its replicas say that they hold all of it.
      stream.sealed = true;
      const isLeft = (node: number): boolean => storageNodes.has(node);
      stream.replicas = stream.replicas.filter(isLeft);
      stream.members = stream.members.filter(isLeft);
      stream.joining = stream.joining.filter(isLeft);
      stream.leaving = stream.leaving.filter(isLeft);
      if (!isLeft(stream.preferred)) stream.preferred = 0;
      revise(stream, 'restored', undefined);
      state.logStreams.set(stream.id, stream);
      giveBack(storageNodes, stream.id, stream.replicas);
    }
    return done(0, reassigned(logStreams));
  },
};
