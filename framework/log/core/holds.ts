import { type Refusal, refuse } from './metadata-result.ts';
import { neededBehind } from './topic-consumers.ts';
import type { Hold, TopicState } from './topic-state.ts';

/** They are part of every snapshot of the metadata. */
export const HOLDS_MAX = 1_000;
const HOLDER_MAX = 200;

/** A hold, or a consumer, which holds what it has not done. */
export interface Claim extends Hold {
  /** Whether `holder` is the name of a consumer. */
  readonly isConsumer: boolean;
}

/** Everybody who needs records of a topic. */
export function holdsOf({ holds, consumers }: Pick<TopicState, 'holds' | 'consumers'>): Claim[] {
  return [
    ...holds.map((it) => ({ ...it, isConsumer: false })),
    ...consumers.map((it) => ({
      holder: it.name,
      position: neededBehind(it),
      isConsumer: true,
    })),
  ];
}

/** Why a holder cannot hold a topic from there on; `undefined`: it can. */
export function refusalOfHold(
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
  topic: TopicState,
  { glsn, force }: { readonly glsn: number; readonly force?: boolean },
): Refusal | undefined {
  const { id, highWatermark, trimmed } = topic;
  if (glsn > highWatermark) {
    const what = `topic ${id} ends at ${highWatermark}, before ${glsn}`;
    return refuse('BEYOND_TAIL', what, 'trim at most up to its tail');
  }
  if (force === true || glsn <= trimmed) return undefined;
  const least = holdsOf(topic).reduce<Claim | undefined>(
    (a, b) => (a === undefined || b.position < a.position ? b : a),
    undefined,
  );
  if (least === undefined || glsn <= least.position) return undefined;
  const { holder, position, isConsumer } = least;
  const who = isConsumer ? `consumer "${holder}"` : `"${holder}"`;
  const release = isConsumer
    ? `remove it ("varlog consumer rm ${id} '${holder}'")`
    : `release the hold ("varlog topic release ${id} '${holder}'")`;
  return refuse(
    'FAILED_PRECONDITION',
    `topic ${id} cannot be trimmed up to ${glsn}: ${who} still needs the records behind ${position}`,
    `trim up to ${position} at most; ${release} when that consumer is gone; or force the trim ("--force"), and it can never catch up again`,
  );
}
