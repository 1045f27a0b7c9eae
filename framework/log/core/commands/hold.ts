import { Hold as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { HOLDS_MAX, refusalOfHold } from '../holds.ts';
import { choices, noTopic, refuse } from '../metadata-result.ts';

/** `holder` needs the records of a topic after `position`, and none any more without one. */
export interface PlaceHold {
  readonly kind: 'hold';
  readonly topicId: number;
  readonly holder: string;
  readonly position?: number;
}

export const hold: CommandDefinition<PlaceHold, Message> = {
  kind: 'hold',
  number: 2,
  level: 3,
  senders: ['client', 'operator'],
  describe: ({ topicId, holder, position }) =>
    position === undefined
      ? `release what "${holder}" holds of topic ${topicId}`
      : `hold topic ${topicId} behind ${position} for "${holder}"`,
  message: Message,
  toMessage: ({ topicId, holder, position = null }) => ({ topicId, holder, position }),
  fromMessage: ({ topicId, holder, position }) => ({
    kind: 'hold',
    topicId,
    holder,
    ...(position === null ? {} : { position }),
  }),
  apply(state, { topicId, holder, position }) {
    const topic = state.topics.get(topicId);
    if (topic === undefined) return refused(noTopic(topicId, state.topics.keys()));
    const others = topic.holds.filter((it) => it.holder !== holder);
    if (position === undefined) {
      if (others.length === topic.holds.length) {
        const what = `nobody called "${holder}" holds records of topic ${topicId}`;
        return refused(
          refuse(
            'NOT_FOUND',
            what,
            choices(
              'holder',
              others.map((it) => it.holder),
            ),
          ),
        );
      }
      topic.holds = others;
      return DONE;
    }
    const refusal = refusalOfHold(topic, holder, position);
    if (refusal !== undefined) return refused(refusal);
    if (others.length >= HOLDS_MAX) {
      const what = `topic ${topicId} has ${HOLDS_MAX} holds already, as many as there can be`;
      const next = 'release those of consumers that are gone';
      return refused(refuse('FAILED_PRECONDITION', what, next));
    }
    topic.holds = [...others, { holder, position }];
    return DONE;
  },
};
