import { PreferPrimary as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { MOVES_FROM } from '../feature-level.ts';
import { type Conditions, conditionsOf, revise } from '../log-stream-state.ts';
import { noLogStream, refuse } from '../metadata-result.ts';
import { changedMeanwhile } from '../replica-change.ts';

/** Lets a replica be the primary of a log stream whenever it opens from now on, where it is up and holds everything. */
export interface PreferPrimary extends Conditions {
  readonly kind: 'preferPrimary';
  readonly id: number;
  /** The storage node of the replica. */
  readonly node: number;
}

export const preferPrimary: CommandDefinition<PreferPrimary, Message> = {
  kind: 'preferPrimary',
  number: 17,
  level: 4,
  senders: ['operator'],
  describe: ({ id, node }) => `prefer storage node ${node} as the primary of log stream ${id}`,
  message: Message,
  toMessage: ({ id, node, revision = null, by = '' }) => ({ id, node, revision, by }),
  fromMessage: ({ id, node, revision, by }) => ({
    kind: 'preferPrimary',
    id,
    node,
    ...conditionsOf({ revision, by }),
  }),
  apply(state, { id, node, revision, by }) {
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    if (revision !== undefined && revision !== stream.revision) {
      return refused(changedMeanwhile(stream));
    }
    const { replicas } = stream;
    if (!replicas.includes(node)) {
      const what = `storage node ${node} has no replica of log stream ${id}`;
      return refused(refuse('INVALID_ARGUMENT', what, `choose one of ${replicas.join(', ')}`));
    }
    // Members that know no moves do not remember who prefers a primary, and need not: it does not change by itself then.
    const preferred = state.featureLevel < MOVES_FROM ? 0 : node;
    if (replicas[0] === node && stream.preferred === preferred) return DONE;
    stream.preferred = preferred;
    stream.replicas = [node, ...replicas.filter((it) => it !== node)];
    revise(stream, `told to prefer storage node ${node} as its primary`, by);
    return DONE;
  },
};
