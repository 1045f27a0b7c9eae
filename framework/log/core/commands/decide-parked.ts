import { DecideParked as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { noTopic } from '../metadata-result.ts';
import { decideParkedOf } from '../topic-consumers.ts';

/** Has parked records given to their consumer once more, or given up. Answers how many. */
export interface DecideParked {
  readonly kind: 'decideParked';
  readonly topicId: number;
  readonly name: string;
  /** None: all that are parked. */
  readonly glsns: readonly number[];
  readonly drop: boolean;
}

export const decideParked: CommandDefinition<DecideParked, Message> = {
  kind: 'decideParked',
  number: 32,
  level: 6,
  senders: ['client', 'operator'],
  describe: ({ topicId, name, drop }) =>
    `${drop ? 'drop' : 'replay'} what consumer "${name}" of topic ${topicId} has parked`,
  message: Message,
  toMessage: ({ topicId, name, glsns, drop }) => ({ topicId, name, glsns: [...glsns], drop }),
  fromMessage: ({ topicId, name, glsns, drop }) => ({
    kind: 'decideParked',
    topicId,
    name,
    glsns,
    drop,
  }),
  apply(state, { topicId, ...decision }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const decided = decideParkedOf(topic, decision);
    return typeof decided === 'number' ? done(decided) : refused(decided);
  },
};
