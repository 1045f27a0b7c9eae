import { Release as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { revise } from '../log-stream-state.ts';
import { noLogStream } from '../metadata-result.ts';

/** Lets a log stream that an operator sealed be opened again. */
export interface Release {
  readonly kind: 'release';
  readonly id: number;
}

export const release: CommandDefinition<Release, Message> = {
  kind: 'release',
  number: 7,
  level: 3,
  senders: ['operator'],
  describe: ({ id }) => `let log stream ${id} be opened`,
  message: Message,
  toMessage: ({ id }) => ({ id }),
  fromMessage: ({ id }) => ({ kind: 'release', id }),
  apply(state, { id }) {
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    if (stream.sealedByOperator) revise(stream, 'released', undefined);
    stream.sealedByOperator = false;
    return DONE;
  },
};
