import type { Codec } from '../../base/index.ts';
import { firstDifference } from '../../smr/first-difference.ts';
import type { StepOutcome } from './step.ts';

/** A value as a test saw it: where, and its bytes. */
interface Seen {
  readonly at: string;
  readonly bytes: Uint8Array;
}

/**
 * In words, where two encoded values differ first; `undefined` where they mean the same. Fields of objects may come in
 * any order: a snapshot is no worse for it.
 */
export function differenceOf<T>(
  what: string,
  codec: Pick<Codec<T>, 'decode'>,
  one: Seen,
  other: Seen,
): string | undefined {
  if (Buffer.compare(one.bytes, other.bytes) === 0) return undefined;
  const found = firstDifference(codec.decode(one.bytes), codec.decode(other.bytes), what);
  if (found === undefined) return undefined;
  return `${found.path} is ${found.left} ${one.at} and ${found.right} ${other.at}`;
}

/** How to look at what commands came to. */
export interface Outcomes {
  readonly result: Pick<Codec<unknown>, 'decode'>;
  readonly state: Pick<Codec<unknown>, 'decode'>;
}

/** Where two machines came to different things with one command; `undefined` where they did not. */
export function outcomeDifference(
  codecs: Outcomes,
  one: StepOutcome,
  other: StepOutcome,
  [here, there]: readonly [string, string],
): string | undefined {
  const pair = (part: keyof StepOutcome) =>
    [
      { at: here, bytes: one[part] },
      { at: there, bytes: other[part] },
    ] as const;
  return (
    differenceOf('result', codecs.result, ...pair('result')) ??
    differenceOf('state', codecs.state, ...pair('state'))
  );
}
