import type { MetadataCommand } from './metadata-command.ts';
import { type MetadataResult, noTopic, OK, type Refusal, refuse } from './metadata-result.ts';
import type { TopicState } from './metadata-state.ts';

/** They are part of every snapshot of the metadata. */
export const HOLDS_MAX = 1_000;
const HOLDER_MAX = 200;

/** Someone who still needs records of a topic: those behind `position`. */
export interface Hold {
  readonly holder: string;
  readonly position: number;
}

/** Places, moves or releases the hold of one holder. */
export function changeHolds(
  topic: TopicState | undefined,
  { topicId: id, holder, position }: MetadataCommand & { kind: 'hold' },
): MetadataResult {
  if (topic === undefined) return noTopic(id);
  const others = topic.holds.filter((it) => it.holder !== holder);
  if (position === undefined) {
    if (others.length === topic.holds.length) {
      const what = `nobody called "${holder}" holds records of topic ${id}`;
      return refuse('NOT_FOUND', what, 'describe the topic to see who does');
    }
    topic.holds = others;
    return OK;
  }
  const refused = refusalOfHold(topic, holder, position);
  if (refused !== undefined) return refused;
  if (others.length >= HOLDS_MAX) {
    const what = `topic ${id} has ${HOLDS_MAX} holds already, as many as there can be`;
    return refuse('FAILED_PRECONDITION', what, 'release those of consumers that are gone');
  }
  topic.holds = [...others, { holder, position }];
  return OK;
}

function refusalOfHold(
  { id, highWatermark, trimmed }: TopicState,
  holder: string,
  position: number,
): Refusal | undefined {
  if (holder === '' || holder.length > HOLDER_MAX) {
    const what = `"${holder}" cannot be the name of a holder`;
    return refuse('INVALID_ARGUMENT', what, `give 1 to ${HOLDER_MAX} characters`);
  }
  if (position > highWatermark) {
    const what = `topic ${id} ends at ${highWatermark}, before ${position}`;
    return refuse('BEYOND_TAIL', what, 'hold what is behind the last record that was dealt with');
  }
  // Such a hold would keep nothing for its holder, and everybody from trimming.
  if (position < trimmed) {
    const what = `topic ${id} was trimmed up to ${trimmed}: the records behind ${position} are gone`;
    return refuse('TRIMMED', what, `hold from ${trimmed} on at the earliest`);
  }
  return undefined;
}

/** Why records may not be removed: they do not exist yet, or somebody needs them. */
export function refusalOfTrim(
  { id, holds, highWatermark, trimmed }: TopicState,
  { glsn, force }: MetadataCommand & { kind: 'trim' },
): Refusal | undefined {
  if (glsn > highWatermark) {
    const what = `topic ${id} ends at ${highWatermark}, before ${glsn}`;
    return refuse('BEYOND_TAIL', what, 'trim at most up to its tail');
  }
  if (force === true || glsn <= trimmed) return undefined;
  const least = holds.reduce<Hold | undefined>(
    (a, b) => (a === undefined || b.position < a.position ? b : a),
    undefined,
  );
  if (least === undefined || glsn <= least.position) return undefined;
  const { holder, position } = least;
  return refuse(
    'FAILED_PRECONDITION',
    `topic ${id} cannot be trimmed up to ${glsn}: "${holder}" still needs the records behind ${position}`,
    `trim up to ${position} at most; release the hold ("varlog topic release ${id} '${holder}'") when that consumer is gone; or force the trim ("--force"), and it can never catch up again`,
  );
}
