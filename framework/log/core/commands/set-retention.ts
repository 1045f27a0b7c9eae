import { SetRetention as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { noTopic } from '../metadata-result.ts';
import { describeRetention, type Retention, refusalOfRetention } from '../retention.ts';

/** How much of a topic is kept from now on; what goes beyond it, the leader has trimmed. */
export interface SetRetention {
  readonly kind: 'setRetention';
  readonly topicId: number;
  readonly retention: Retention;
}

export const setRetention: CommandDefinition<SetRetention, Message> = {
  kind: 'setRetention',
  number: 20,
  level: 5,
  senders: ['operator'],
  describe: ({ topicId, retention }) => `keep ${describeRetention(retention)} of topic ${topicId}`,
  message: Message,
  toMessage: ({ topicId, retention: { bytes = 0, ageMs = 0 } }) => ({ topicId, bytes, ageMs }),
  fromMessage: ({ topicId, bytes, ageMs }) => ({
    kind: 'setRetention',
    topicId,
    retention: { ...(bytes > 0 && { bytes }), ...(ageMs > 0 && { ageMs }) },
  }),
  apply(state, { topicId, retention }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const refusal = refusalOfRetention(retention);
    if (refusal !== undefined) return refused(refusal);
    topic.retention = retention;
    return DONE;
  },
};
