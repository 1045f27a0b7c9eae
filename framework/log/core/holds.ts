import { type Refusal, refuse } from './metadata-result.ts';
import type { Hold, TopicState } from './topic-state.ts';

/** They are part of every snapshot of the metadata. */
export const HOLDS_MAX = 1_000;
const HOLDER_MAX = 200;

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
  { id, holds, highWatermark, trimmed }: TopicState,
  { glsn, force }: { readonly glsn: number; readonly force?: boolean },
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
