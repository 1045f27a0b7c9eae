import { BeginTopic as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { holdsOf } from '../holds.ts';
import { noTopic, refuse } from '../metadata-result.ts';

/** Has the records of a new topic begin after `glsn`, as those of another one that was trimmed up to there. */
export interface BeginTopic {
  readonly kind: 'beginTopic';
  readonly topicId: number;
  readonly glsn: number;
}

export const beginTopic: CommandDefinition<BeginTopic, Message> = {
  kind: 'beginTopic',
  number: 21,
  level: 5,
  senders: ['operator'],
  describe: ({ topicId, glsn }) => `begin topic ${topicId} after ${glsn}`,
  message: Message,
  toMessage: ({ topicId, glsn }) => ({ topicId, glsn }),
  fromMessage: ({ topicId, glsn }) => ({ kind: 'beginTopic', topicId, glsn }),
  apply(state, { topicId, glsn }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    if (!Number.isSafeInteger(glsn) || glsn < 0) {
      const what = `${glsn} is no position`;
      return refused(refuse('INVALID_ARGUMENT', what, 'give a whole number, 0 or more'));
    }
    if (topic.highWatermark === glsn && topic.trimmed === glsn) return DONE;
    // What its storage nodes know of it would no longer hold.
    if (topic.highWatermark > 0 || topic.logStreams.length > 0 || holdsOf(topic).length > 0) {
      const what = `topic ${topicId} is in use: its records begin where they do`;
      const next = 'do this with a topic that was made just now and has no log stream yet';
      return refused(refuse('FAILED_PRECONDITION', what, next));
    }
    topic.highWatermark = glsn;
    topic.trimmed = glsn;
    return DONE;
  },
};
