import { checkCount, checkSignal, checkWord, VarlogError } from '../../base/index.ts';
import { checkTimeout } from './call-limit.ts';
import { type Begin, checkGlsn, checkRange } from './position-option.ts';

/** How fresh a read has to be. */
export interface Freshness {
  /**
   * `'linearizable'`: it sees all that was acknowledged to anyone before it began; the metadata repository is asked how
   * far that is. `'stale'`: as much as any one replica knows, which may lie behind; nobody else is asked. Default
   * `'linearizable'`, and `'stale'` with `atLeast`.
   */
  consistency?: 'linearizable' | 'stale';
  /**
   * It sees all records up to this GLSN at least, as from any replica that has come so far: with the position of an
   * acknowledgement, one reads one's own writes. A replica that lags is waited for.
   */
  atLeast?: number;
}

/** What a topic is read by, beside how fresh it is. */
interface ReadingLimits {
  readonly from?: unknown;
  readonly to?: unknown;
  readonly timeoutMs?: number;
  readonly signal?: unknown;
  readonly bufferBytes?: number;
}

/** Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE` for how a topic cannot be read. */
export function checkReading(reading: Freshness & ReadingLimits): void {
  const { from = 'start', to, timeoutMs, signal, bufferBytes } = reading;
  checkRange(from, to);
  checkFreshness(reading);
  if (timeoutMs !== undefined) checkTimeout(timeoutMs);
  checkSignal(signal);
  checkCount(bufferBytes, 'bufferBytes');
}

/** Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE` for what cannot be asked of a read. */
function checkFreshness({ consistency, atLeast }: Freshness): void {
  checkWord(consistency, 'consistency', ['linearizable', 'stale']);
  if (atLeast === undefined) return;
  checkGlsn(atLeast, 'atLeast');
  if (consistency !== 'linearizable') return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: 'a linearizable read was asked to see at least a position',
    because: 'it sees all that was acknowledged anyway',
    next: "leave atLeast out, or the consistency 'linearizable'",
  });
}

/** Up to where a replica must vouch for the topic to serve a read; `undefined`: the metadata repository is to be asked. */
export function leastPosition(
  { consistency, atLeast }: Freshness,
  range: { from: Begin; to: number | 'tail' },
): number | undefined {
  if (atLeast === undefined && consistency !== 'stale') return undefined;
  const { from, to } = range;
  // What is named is taken to be there: a replica that has not come so far cannot say that it is not.
  const before = typeof from === 'number' ? from - 1 : 0;
  return Math.max(atLeast ?? 0, before, to === 'tail' ? 0 : to);
}
