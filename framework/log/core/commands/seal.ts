import { Seal as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { type Conditions, conditionsOf, revise } from '../log-stream-state.ts';
import { NO_CHANGES, reassigned } from '../metadata-changes.ts';
import { noLogStream } from '../metadata-result.ts';
import { changedMeanwhile } from '../replica-change.ts';

/** Freezes the end of a log stream. With `hold`: until an operator releases it. */
export interface Seal extends Conditions {
  readonly kind: 'seal';
  readonly id: number;
  readonly hold: boolean;
}

export const seal: CommandDefinition<Seal, Message> = {
  kind: 'seal',
  number: 10,
  level: 3,
  senders: ['operator', 'leader'],
  describe: ({ id, hold }) => `seal log stream ${id}${hold ? ' until it is released' : ''}`,
  message: Message,
  toMessage: ({ id, hold, revision = null, by = '' }) => ({ id, hold, revision, by }),
  fromMessage: ({ id, hold, revision, by }) => ({
    kind: 'seal',
    id,
    hold,
    ...conditionsOf({ revision, by }),
  }),
  apply(state, { id, hold, revision, by }) {
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id));
    if (revision !== undefined && revision !== stream.revision) {
      return refused(changedMeanwhile(stream));
    }
    const wasOpen = !stream.sealed;
    const isNew = wasOpen || (hold && !stream.held);
    stream.sealed = true;
    stream.held ||= hold;
    if (isNew) revise(stream, `sealed at ${stream.end}`, by);
    return done(stream.lastGlsn, wasOpen ? reassigned([stream]) : NO_CHANGES);
  },
};
