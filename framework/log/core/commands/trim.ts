import { Trim as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, done, refused } from '../command-definition.ts';
import { refusalOfTrim } from '../holds.ts';
import { reassigned } from '../metadata-changes.ts';
import { noTopic } from '../metadata-result.ts';

/** Removes the records of a topic up to `glsn`. Without `force` it stops before records that are held. */
export interface Trim {
  readonly kind: 'trim';
  readonly topicId: number;
  readonly glsn: number;
  readonly force?: boolean;
}

export const trim: CommandDefinition<Trim, Message> = {
  kind: 'trim',
  number: 12,
  level: 3,
  senders: ['client', 'operator', 'leader'],
  describe: ({ topicId, glsn, force = false }) =>
    `trim topic ${topicId} up to ${glsn}${force ? ', whoever holds it' : ''}`,
  message: Message,
  toMessage: ({ topicId, glsn, force = false }) => ({ topicId, glsn, force }),
  fromMessage: ({ topicId, glsn, force }) => ({ kind: 'trim', topicId, glsn, force }),
  apply(state, command) {
    const { topicId, glsn } = command;
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const refusal = refusalOfTrim(topic, command);
    if (refusal !== undefined) return refused(refusal);
    if (glsn <= topic.trimmed) return DONE;
    topic.trimmed = glsn;
    return done(0, reassigned(topic.logStreams.map((id) => state.logStreams.get(id)!)));
  },
};
