import { Observable } from 'rxjs';
import {
  type Clock,
  type Codec,
  checkNames,
  checkSignal,
  type OptionNames,
  SequenceMap,
  VarlogError,
  Wakeups,
} from '../base/index.ts';

/** What the machine emitted at one position of the log; or, as a bookmark, that up to there it emitted nothing more. */
export type ChangeEvent<Change> =
  | {
      readonly kind: 'changes';
      readonly position: number;
      /** Milliseconds since 1970, by the log's time. */
      readonly time: number;
      /** In the order in which they were emitted, by all commands that were applied there. Never empty. */
      readonly changes: readonly Change[];
    }
  | { readonly kind: 'bookmark'; readonly position: number };

export interface ChangesOptions {
  /**
   * The first position to hear of: to go on after a restart, the one after the last event's. Default: what comes from now
   * on.
   */
  from?: number;
  signal?: AbortSignal;
}

const NAMES: OptionNames<ChangesOptions> = { from: true, signal: true };

/** An event costs so much beside its changes, and each of them beside its bytes. */
const OBJECT_BYTES = 128;
const BOOKMARK_MS = 5_000;

interface Kept {
  readonly position: number;
  readonly time: number;
  readonly changes: Uint8Array[];
  bytes: number;
}

export interface ChangeHistoryParts {
  readonly clock: Clock;
  /** Over so many bytes the oldest events are dropped. */
  readonly bytesMax: number;
  readonly codec: Codec<unknown>;
}

/**
 * The newest changes that a machine emitted. They are the same on every replica, so a reader may go on at another one by
 * the position. Each reader goes at its own pace, and costs nothing here: one that falls behind what is kept is told so.
 */
export class ChangeHistory {
  private readonly parts: ChangeHistoryParts;
  private readonly wakeups = new Wakeups();
  /** By number: 1 for the first that was ever kept. */
  private readonly kept = new SequenceMap<Kept>();
  private newest = 0;
  private bytes = 0;
  /** What was emitted at this position and later is kept. */
  private begin = 1;
  /** All entries up to here are applied. */
  private end = 0;
  private ended: { readonly error: unknown } | undefined;

  constructor(parts: ChangeHistoryParts) {
    this.parts = parts;
  }

  /** Commands are added in order, all that are applied in one turn together. */
  add(position: number, time: number, changes: readonly Uint8Array[]): void {
    if (changes.length === 0) return;
    let event = this.kept.get(this.newest);
    if (event?.position !== position) {
      event = { position, time, changes: [], bytes: OBJECT_BYTES };
      this.newest = this.kept.add(event);
      this.bytes += OBJECT_BYTES;
    }
    let more = 0;
    for (const change of changes) {
      event.changes.push(change);
      more += OBJECT_BYTES + change.length;
    }
    event.bytes += more;
    this.bytes += more;
    while (this.bytes > this.parts.bytesMax && this.kept.size > 1) this.dropOldest();
  }

  /** Everything up to `position` is applied. */
  advance(position: number): void {
    this.end = Math.max(this.end, position);
    this.wakeups.wake();
  }

  /** The state went on to `position` without the entries in between. */
  jump(position: number): void {
    if (position <= this.end) return;
    while (this.kept.size > 0) this.dropOldest();
    this.begin = position + 1;
    this.advance(position);
  }

  /** Readers are given what is kept, and end then; with `failure`, by that. */
  stop(failure: unknown): void {
    this.ended = { error: failure };
    this.wakeups.wake();
  }

  /**
   * Reads on without an end, at the pace of whoever asks. Throws `POSITION_OUT_OF_RANGE` for a `from` that is none. The iteration throws `TRIMMED` where changes from there on are not kept (any more);
   * `details.firstAvailable` says which ones are. Throws what ended the replica, and ends where that was closed.
   */
  read<Change>(options: ChangesOptions): AsyncIterable<ChangeEvent<Change>> {
    checkChanges(options);
    const { from = this.end + 1, signal } = options;
    return this.readFrom(Math.max(from, 1), signal);
  }

  /** The same as an Observable: without backpressure, for those that do at once what they do with an event. */
  read$<Change>(options: Omit<ChangesOptions, 'signal'>): Observable<ChangeEvent<Change>> {
    checkChanges(options);
    return asObservable((signal) => this.read<Change>({ ...options, signal }));
  }

  private async *readFrom<Change>(
    from: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ChangeEvent<Change>, void> {
    const { clock } = this.parts;
    let toldAt = clock.now();
    for (let next = from; signal?.aborted !== true; ) {
      if (next < this.begin) throw notKept(next, this.begin);
      const event = this.firstFrom(next) ?? this.bookmark(next, toldAt);
      if (event !== undefined) {
        next = event.position + 1;
        yield 'kind' in event ? event : this.decoded(event);
        toldAt = clock.now();
      } else if (this.ended === undefined) await this.wakeups.wait(signal);
      else if (this.ended.error === undefined) return;
      else throw this.ended.error;
    }
  }

  /** The first event at `position` or after it. */
  private firstFrom(position: number): Kept | undefined {
    let low = this.kept.firstKey ?? this.newest + 1;
    let high = this.newest + 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.kept.get(middle) as Kept).position < position) low = middle + 1;
      else high = middle;
    }
    return this.kept.get(low);
  }

  /** Where nothing was emitted for long: so that a reader which begins anew need not begin far back. */
  private bookmark(next: number, toldAt: number): ChangeEvent<never> | undefined {
    const { clock } = this.parts;
    if (next > this.end || clock.now() - toldAt < BOOKMARK_MS) return undefined;
    return { kind: 'bookmark', position: this.end };
  }

  private decoded<Change>({ position, time, changes }: Kept): ChangeEvent<Change> {
    const { codec } = this.parts;
    return {
      kind: 'changes',
      position,
      time,
      changes: changes.map((it) => codec.decode(it) as Change),
    };
  }

  private dropOldest(): void {
    const key = this.kept.firstKey as number;
    const { position, bytes } = this.kept.get(key) as Kept;
    this.kept.delete(key);
    this.bytes -= bytes;
    this.begin = position + 1;
  }
}

/** What `read` iterates over, for each subscriber anew; its end is the end of the iteration. */
export function asObservable<T>(read: (signal: AbortSignal) => AsyncIterable<T>): Observable<T> {
  return new Observable((subscriber) => {
    const closing = new AbortController();
    const pass = async (): Promise<void> => {
      for await (const it of read(closing.signal)) subscriber.next(it);
      subscriber.complete();
    };
    pass().catch((error: unknown) => subscriber.error(error));
    return () => closing.abort();
  });
}

/** Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE`: at once also for an Observable, which begins to read later. */
function checkChanges(options: ChangesOptions): void {
  checkNames(options, NAMES, 'changes');
  const { from, signal } = options;
  if (from !== undefined && (!Number.isSafeInteger(from) || from < 0)) throw notAPosition(from);
  checkSignal(signal);
}

function notAPosition(from: number): VarlogError {
  return new VarlogError('POSITION_OUT_OF_RANGE', {
    what: `${from} is not a position: it must be a whole number from 0 to 2^53 - 1`,
    next: 'pass the position of an event, and 1',
  });
}

function notKept(from: number, firstAvailable: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `changes from position ${from} on are not kept here: the first that are kept begin at ${firstAvailable}`,
    because: 'the reader was away or slow for too long, or the replica began with a snapshot',
    next: 'query the whole state, and read the changes after its position; or raise changesBytesMax',
    details: { from, firstAvailable },
  });
}
