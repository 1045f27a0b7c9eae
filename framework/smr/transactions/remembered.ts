import { checkGivenNumber, checkNames } from '../../base/index.ts';
import { VersionedMap } from '../versioned-map.ts';
import { inParts } from './in-parts.ts';

/** What is kept: everything for so long, by the log's time, unless there is more than so many bytes of it. */
export interface RememberedLimits {
  /** Milliseconds. */
  readonly keptMs: number;
  /** Of keys and values together, as they are counted by who adds them. */
  readonly bytesMax: number;
}

/** Throws `INVALID_ARGUMENT` for limits that are none: with such a one nothing would ever be forgotten, or all at once. */
export function checkRemembered(limits: RememberedLimits): void {
  checkNames(limits, { keptMs: true, bytesMax: true }, 'what is remembered');
  checkGivenNumber(limits.keptMs, 'keptMs', 0);
  checkGivenNumber(limits.bytesMax, 'bytesMax', 0);
}

/** For a snapshot: plain data, all of it or a piece. */
export interface RememberedState<Value> {
  readonly sinceMs: number;
  readonly bytes: number;
  readonly older: readonly (readonly [string, Value])[];
  readonly newer: readonly (readonly [string, Value])[];
  readonly olderThrough: number;
  readonly newerThrough: number;
  readonly forgottenThrough: number;
}

/**
 * Values by keys, each for at least `keptMs`, so that whoever asks again in that time is told the same, however much else goes
 * on. Two parts, of which the older one is dropped as a whole. Where one part has half of `bytesMax`, the older ones go earlier, so
 * that memory has a bound.
 */
export class Remembered<Value> {
  private readonly limits: RememberedLimits;
  private sinceMs = 0;
  private bytes = 0;
  private older = new VersionedMap<string, Value>();
  private newer = new VersionedMap<string, Value>();
  private olderThrough = 0;
  private newerThrough = 0;
  private forgotten = 0;

  constructor(limits: RememberedLimits) {
    this.limits = limits;
  }

  /** Whatever was set at a later position than this is still here. 0: everything. */
  get forgottenThrough(): number {
    return this.forgotten;
  }

  get(key: string): Value | undefined {
    return this.newer.get(key) ?? this.older.get(key);
  }

  /** `position` and `timeMs` are those of the log, and never go back. */
  set(key: string, value: Value, bytes: number, position: number, timeMs: number): void {
    const { keptMs, bytesMax } = this.limits;
    if (timeMs - this.sinceMs >= keptMs || this.bytes + bytes > bytesMax / 2) {
      if (this.older.size > 0) this.forgotten = this.olderThrough;
      this.older = this.newer;
      this.olderThrough = this.newerThrough;
      this.newer = new VersionedMap();
      this.sinceMs = timeMs;
      this.bytes = 0;
    }
    this.newer.set(key, value);
    this.newerThrough = position;
    this.bytes += bytes;
  }

  /** Another one with the same content, at no cost: from then on neither sees what is done to the other. */
  fork(): Remembered<Value> {
    const fork = new Remembered<Value>(this.limits);
    fork.sinceMs = this.sinceMs;
    fork.bytes = this.bytes;
    fork.older = this.older.fork();
    fork.newer = this.newer.fork();
    fork.olderThrough = this.olderThrough;
    fork.newerThrough = this.newerThrough;
    fork.forgotten = this.forgotten;
    return fork;
  }

  /** A piece without values. */
  get numbers(): RememberedState<Value> {
    return {
      sinceMs: this.sinceMs,
      bytes: this.bytes,
      older: [],
      newer: [],
      olderThrough: this.olderThrough,
      newerThrough: this.newerThrough,
      forgottenThrough: this.forgotten,
    };
  }

  /** Pieces with all values, as they are at this call: it may be changed while they are read. */
  pieces(): Iterable<RememberedState<Value>> {
    return piecesOf(this.numbers, this.older.snapshot(), this.newer.snapshot());
  }

  /** For a new one: adds a piece of a state, or a whole state. */
  add(state: RememberedState<Value>): void {
    for (const [key, value] of state.older) this.older.set(key, value);
    for (const [key, value] of state.newer) this.newer.set(key, value);
    this.sinceMs = state.sinceMs;
    this.bytes = state.bytes;
    this.olderThrough = state.olderThrough;
    this.newerThrough = state.newerThrough;
    this.forgotten = state.forgottenThrough;
  }
}

function* piecesOf<Value>(
  state: RememberedState<Value>,
  older: Iterable<[string, Value]>,
  newer: Iterable<[string, Value]>,
): Generator<RememberedState<Value>> {
  for (const some of inParts(older)) yield { ...state, older: some };
  for (const some of inParts(newer)) yield { ...state, newer: some };
}
