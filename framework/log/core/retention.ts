import { type Refusal, refuse } from './metadata-result.ts';

/** How much of a topic is kept: a record goes when one of the limits is passed. Without a limit: all. */
export interface Retention {
  /** The newest records that together have so many bytes, as one replica of each log stream stores them. */
  readonly bytes?: number;
  /** Records that are not older, in milliseconds. */
  readonly ageMs?: number;
}

/** Records of a log stream that are freed together, from the first one on up to where the next part begins. */
export interface StoredPart {
  /** GLSN of its first record that is kept. */
  readonly glsn: number;
  /** On the disk of one replica. */
  readonly bytes: number;
  /** None of its records is younger, in milliseconds; 0: not known. */
  readonly ageMs: number;
  /** Some of its records were trimmed: `bytes` is the share of the others, by their number. */
  readonly cut: boolean;
}

/** What a replica tells of the records that it stores. */
export interface StoredLogStream {
  /** Ascending. */
  readonly parts: readonly StoredPart[];
  /** All records of the log stream at or below it are in the parts, or were trimmed. */
  readonly highWatermark: number;
}

export const KEEPS_ALL: Retention = {};

/** Why a topic cannot have such a retention; `undefined`: it can. */
export function refusalOfRetention({ bytes, ageMs }: Retention): Refusal | undefined {
  for (const [name, value] of Object.entries({ bytes, ageMs })) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) continue;
    const what = `${value} cannot be the limit "${name}" of a retention`;
    const next = 'give a whole number, 1 or more, or leave it out to keep all';
    return refuse('INVALID_ARGUMENT', what, next);
  }
  return undefined;
}

/** Whether it keeps less than all. */
export function isLimited({ bytes, ageMs }: Retention): boolean {
  return bytes !== undefined || ageMs !== undefined;
}

/** In words, as in "keep … of topic 1". */
export function describeRetention({ bytes, ageMs }: Retention): string {
  const limits = [
    ...(bytes === undefined ? [] : [`${bytes} bytes`]),
    ...(ageMs === undefined ? [] : [`${ageMs} ms`]),
  ];
  return limits.length === 0 ? 'all' : `the last ${limits.join(' and no more than ')}`;
}

/**
 * The last GLSN that a topic need not keep by its retention; 0: none. `undefined` stands for a log stream of which
 * nothing is known now. Never too far: what is kept has the bytes that were asked for, and nothing that goes is as
 * young as that it should stay.
 */
export function expiredUpTo(
  { bytes, ageMs }: Retention,
  logStreams: readonly (StoredLogStream | undefined)[],
): number {
  const tooMuch = bytes === undefined ? 0 : beyondBytes(bytes, logStreams);
  const tooOld = ageMs === undefined ? 0 : olderThan(ageMs, logStreams);
  return Math.max(tooMuch, tooOld);
}

/**
 * Whole parts are kept from the newest on, until they have so many bytes. What is not known, or not for sure, has
 * none.
 */
function beyondBytes(limit: number, logStreams: readonly (StoredLogStream | undefined)[]): number {
  const newestFirst = logStreams.flatMap((it) => it?.parts ?? []).sort((a, b) => b.glsn - a.glsn);
  let kept = 0;
  for (const { glsn, bytes, cut } of newestFirst) {
    kept += cut ? 0 : bytes;
    if (kept >= limit) return glsn - 1;
  }
  return 0;
}

/** Up to the first record of any log stream that may be younger. */
function olderThan(ageMs: number, logStreams: readonly (StoredLogStream | undefined)[]): number {
  if (logStreams.length === 0) return 0;
  const ends = logStreams.map((it) => {
    if (it === undefined) return 0;
    const young = it.parts.find((part) => part.ageMs < ageMs);
    return young === undefined ? it.highWatermark : young.glsn - 1;
  });
  return Math.min(...ends);
}

/** About how many bytes lie after a position: parts that it divides count in proportion to their records. */
export function bytesBehind(
  position: number,
  logStreams: readonly StoredLogStream[],
  tail: number,
): number {
  let sum = 0;
  for (const { parts } of logStreams) {
    for (const [i, { glsn, bytes }] of parts.entries()) {
      const end = parts[i + 1]?.glsn ?? Math.max(tail + 1, glsn + 1);
      const share = Math.min(1, Math.max(0, end - 1 - position) / (end - glsn));
      sum += bytes * share;
    }
  }
  return Math.round(sum);
}
