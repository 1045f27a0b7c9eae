import { Seal as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { type Conditions, conditionsOf, revise } from '../log-stream-state.ts';
import { NO_CHANGES, reassigned } from '../metadata-changes.ts';
import { noLogStream } from '../metadata-result.ts';
import { changedMeanwhile } from '../replica-change.ts';

/** Freezes the end of a log stream. With `byOperator`: until an operator releases it. */
export interface Seal extends Conditions {
  readonly kind: 'seal';
  readonly id: number;
  readonly byOperator: boolean;
}

export const seal: CommandDefinition<Seal, Message> = {
  kind: 'seal',
  number: 10,
  level: 3,
  senders: ['operator', 'leader'],
  describe: ({ id, byOperator }) =>
    `seal log stream ${id}${byOperator ? ' until it is released' : ''}`,
  message: Message,
  toMessage: ({ id, byOperator, revision = null, by = '' }) => ({ id, byOperator, revision, by }),
  fromMessage: ({ id, byOperator, revision, by }) => ({
    kind: 'seal',
    id,
    byOperator,
    ...conditionsOf({ revision, by }),
  }),
  apply(state, { id, byOperator, revision, by }) {
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    if (revision !== undefined && revision !== stream.revision) {
      return refused(changedMeanwhile(stream));
    }
    const wasOpen = !stream.sealed;
    const isNew = wasOpen || (byOperator && !stream.sealedByOperator);
    stream.sealed = true;
    stream.sealedByOperator ||= byOperator;
    if (isNew) revise(stream, `sealed at ${stream.end}`, by);
    return done(stream.lastGlsn, wasOpen ? reassigned([stream]) : NO_CHANGES);
  },
};
