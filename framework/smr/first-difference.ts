import { fieldPath } from '../base/index.ts';
import { canonicalHash, canonicalOf } from './canonical.ts';

const BRIEF_MAX = 120;

/** Where two values differ first: `$` is the value itself, `$.a[2]` the third item of its field `a`. */
export interface Difference {
  readonly path: string;
  /** What is there, in short; `nothing` where nothing is. */
  readonly left: string;
  readonly right: string;
}

/** The first difference in what counts of two values (see `Canonical`); `undefined` where they are equal. */
export function firstDifference(left: unknown, right: unknown, path = '$'): Difference | undefined {
  const [a, b] = [canonicalOf(left), canonicalOf(right)];
  const here = (): Difference => ({ path, left: briefly(left), right: briefly(right) });
  if (a.kind === 'leaf' && b.kind === 'leaf') return a.text === b.text ? undefined : here();
  if (a.kind === 'bytes' && b.kind === 'bytes')
    return canonicalHash(a.bytes) === canonicalHash(b.bytes) ? undefined : here();
  if (a.kind === 'list' && b.kind === 'list') return differenceOfLists(a.items, b.items, path);
  if (a.kind === 'fields' && b.kind === 'fields') {
    const [ofLeft, ofRight] = [new Set(a.names), new Set(b.names)];
    for (const name of [...new Set([...a.names, ...b.names])].sort()) {
      const at = fieldPath(path, name);
      const [inLeft, inRight] = [ofLeft.has(name), ofRight.has(name)];
      if (inLeft && inRight) {
        const found = firstDifference(a.of[name], b.of[name], at);
        if (found !== undefined) return found;
      } else return oneSided(at, inLeft, inLeft ? a.of[name] : b.of[name]);
    }
    return undefined;
  }
  return here();
}

function differenceOfLists(
  left: Iterable<unknown>,
  right: Iterable<unknown>,
  path: string,
): Difference | undefined {
  const others = right[Symbol.iterator]();
  let i = 0;
  for (const item of left) {
    const other = others.next();
    if (other.done === true) return oneSided(`${path}[${i}]`, true, item);
    const found = firstDifference(item, other.value, `${path}[${i++}]`);
    if (found !== undefined) return found;
  }
  const other = others.next();
  return other.done === true ? undefined : oneSided(`${path}[${i}]`, false, other.value);
}

function oneSided(path: string, isLeft: boolean, value: unknown): Difference {
  const [there, nothing] = [briefly(value), 'nothing'];
  return isLeft ? { path, left: there, right: nothing } : { path, left: nothing, right: there };
}

/** A value as a person wants to see it, cut off where it is long. */
export function briefly(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value, readable) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length <= BRIEF_MAX ? text : `${text.slice(0, BRIEF_MAX)}…`;
}

/** In place of what JSON cannot say. */
function readable(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array)
    return `bytes ${Buffer.from(value.subarray(0, BRIEF_MAX)).toString('hex')}`;
  return value instanceof Map || value instanceof Set ? [...(value as Iterable<unknown>)] : value;
}
