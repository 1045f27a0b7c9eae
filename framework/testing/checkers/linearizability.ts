/** One operation of a history. Times are of one clock, common to all clients. */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** Absent where the outcome is unknown: the operation may take effect at any later time, or never. */
  readonly output?: Output;
  readonly callMs: number;
  /** Infinity where the outcome is unknown. */
  readonly returnMs: number;
}

/** What a service would do if it were one object that is used by one client at a time. */
export interface SequentialModel<State, Input, Output> {
  readonly initial: State;
  /** The state after the operation; undefined where it cannot have had this output. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal states have equal keys. */
  key(state: State): string;
  /** Operations of different partitions do not affect each other, for example those of different keys. */
  partition?(input: Input): string;
}

export type LinearizabilityVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly partition: string; readonly explainedAtMost: number };

/**
 * Whether a history can be explained by operations that each take effect at one moment between their
 * call and their return (Herlihy and Wing 1990). Searches as Wing and Gong 1993 with the memory of
 * Lowe 2017. An operation that failed for certain must not be in the history.
 *
 * Operations of unknown outcome, which may take effect at any later time or never, would make that search
 * exponential. They are tried last, not where one changes nothing or is covered up by the next, and what
 * was reached with some of them is not searched again with more. Inputs are plain data: of two such
 * operations that are equal as JSON, the earlier takes effect first.
 */
export function checkLinearizable<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
): LinearizabilityVerdict {
  const parts = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const partition = model.partition?.(operation.input) ?? '';
    const part = parts.get(partition);
    if (part === undefined) parts.set(partition, [operation]);
    else part.push(operation);
  }
  for (const [partition, operations] of parts) {
    const explained = new Search(model, operations).run();
    if (explained !== undefined) return { ok: false, partition, explainedAtMost: explained };
  }
  return { ok: true };
}

/** A place of the search: some operations have taken effect, and one of the candidates is the next. */
interface Place<State> {
  readonly state: State;
  /** Those not tried yet. */
  readonly candidates: Iterator<Candidate, undefined>;
  /** The one that is being tried. */
  chosen?: Candidate;
}

/** By its call in the timeline, or, where the outcome is unknown, by its number among those. */
type Candidate = Call | number;

class Search<State, Input, Output> {
  private readonly model: SequentialModel<State, Input, Output>;
  private readonly known: Operation<Input, Output>[];
  private readonly unknown: Operation<Input, Output>[];
  private readonly twins: (number | undefined)[];
  private readonly head: Event;
  /** Which operations of `known` have taken effect; {@link used} says the same of `unknown`. */
  private readonly done: Bits;
  private readonly used: Bits;
  private readonly visited = new Visited();
  private readonly path: Place<State>[] = [];
  private here: Place<State>;
  private explained = 0;

  constructor(
    model: SequentialModel<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
  ) {
    this.model = model;
    this.known = operations.filter((it) => it.returnMs !== Infinity);
    this.unknown = operations.filter((it) => it.returnMs === Infinity);
    this.unknown.sort((a, b) => a.callMs - b.callMs);
    this.twins = earlierTwins(this.unknown);
    this.head = timeline(this.known);
    this.done = new Bits(this.known.length);
    this.used = new Bits(this.unknown.length);
    this.here = { state: model.initial, candidates: this.candidates() };
  }

  /** How many operations that have returned could be explained at most, if not all of them. */
  run(): number | undefined {
    let best = 0;
    while (this.explained < this.known.length) {
      const { value: candidate } = this.here.candidates.next();
      if (candidate === undefined) {
        // A return came before its operation took effect: an earlier choice was wrong.
        const previous = this.path.pop();
        if (previous === undefined) return best;
        this.here = previous;
        this.takeBack(previous.chosen!);
        continue;
      }
      const state = this.step(this.here.state, candidate);
      if (state === undefined) continue;
      this.take(candidate);
      best = Math.max(best, this.explained);
      if (this.visited.add(`${this.done.key()}|${this.model.key(state)}`, this.used)) {
        this.here.chosen = candidate;
        this.path.push(this.here);
        this.here = { state, candidates: this.candidates() };
      } else {
        this.takeBack(candidate);
      }
    }
    return undefined;
  }

  /** What may take effect next: whatever was called before the first return. */
  private *candidates(): Generator<Candidate, undefined> {
    let event = this.head.next!;
    for (; isCall(event); event = event.next!) yield event;
    for (let i = 0; i < this.unknown.length && this.unknown[i]!.callMs <= event.timeMs; i++) {
      if (this.isWorthTrying(i)) yield i;
    }
  }

  private isWorthTrying(unknown: number): boolean {
    const twin = this.twins[unknown];
    if (this.used.has(unknown) || (twin !== undefined && !this.used.has(twin))) return false;
    const after = this.step(this.here.state, unknown);
    if (after === undefined || this.equal(after, this.here.state)) return false;
    const previous = this.path.at(-1);
    if (typeof previous?.chosen !== 'number') return true;
    const without = this.step(previous.state, unknown);
    return without === undefined || !this.equal(without, after);
  }

  private equal(a: State, b: State): boolean {
    return this.model.key(a) === this.model.key(b);
  }

  private step(state: State, candidate: Candidate): State | undefined {
    const { input, output } =
      typeof candidate === 'number' ? this.unknown[candidate]! : this.known[candidate.id]!;
    return this.model.step(state, input, output);
  }

  private take(candidate: Candidate): void {
    if (typeof candidate === 'number') {
      this.used.flip(candidate);
    } else {
      this.explained++;
      this.done.flip(candidate.id);
      lift(candidate);
    }
  }

  private takeBack(candidate: Candidate): void {
    if (typeof candidate === 'number') {
      this.used.flip(candidate);
    } else {
      this.explained--;
      this.done.flip(candidate.id);
      unlift(candidate);
    }
  }
}

/** For each operation the last one before it that is equal to it. */
function earlierTwins(operations: readonly Operation<unknown, unknown>[]): (number | undefined)[] {
  const last = new Map<string, number>();
  return operations.map(({ input }, i) => {
    const key = JSON.stringify(input);
    const twin = last.get(key);
    last.set(key, i);
    return twin;
  });
}

interface Event {
  readonly timeMs: number;
  previous?: Event | undefined;
  next?: Event | undefined;
}

interface Call extends Event {
  /** The number of the operation. */
  readonly id: number;
  /** Its return. */
  readonly end: Event;
}

function isCall(event: Event): event is Call {
  return 'end' in event;
}

/** Calls and returns in the order of time; at the same moment calls come first. */
function timeline(operations: readonly Operation<unknown, unknown>[]): Event {
  const events = operations.flatMap(({ callMs, returnMs }, id): Event[] => {
    const end = { timeMs: returnMs };
    const call: Call = { timeMs: callMs, id, end };
    return [call, end];
  });
  const order = (it: Event): number => (isCall(it) ? 0 : 1);
  events.sort((a, b) => (a.timeMs === b.timeMs ? order(a) - order(b) : a.timeMs - b.timeMs));
  const head: Event = { timeMs: -Infinity };
  let last = head;
  for (const event of events) {
    event.previous = last;
    last.next = event;
    last = event;
  }
  return head;
}

function lift(call: Call): void {
  for (const event of [call, call.end]) {
    event.previous!.next = event.next;
    if (event.next !== undefined) event.next.previous = event.previous;
  }
}

function unlift(call: Call): void {
  for (const event of [call.end, call]) {
    event.previous!.next = event;
    if (event.next !== undefined) event.next.previous = event;
  }
}

/** The places that the search has been at. */
class Visited {
  private readonly usedAt = new Map<string, Int32Array[]>();

  /** False if it was here before with no other operations of unknown outcome used up than `used`. */
  add(place: string, used: Bits): boolean {
    const before = this.usedAt.get(place);
    if (before?.some((it) => used.covers(it))) return false;
    if (before === undefined) this.usedAt.set(place, [used.copy()]);
    else before.push(used.copy());
    return true;
  }
}

/** A set of small numbers whose key is short where it is a prefix with few exceptions. */
class Bits {
  private readonly words: Int32Array;
  private full = 0;
  private last = 0;

  constructor(size: number) {
    this.words = new Int32Array((size >> 5) + 1);
  }

  has(bit: number): boolean {
    return (this.words[bit >> 5]! & (1 << (bit & 31))) !== 0;
  }

  flip(bit: number): void {
    const word = bit >> 5;
    this.words[word]! ^= 1 << (bit & 31);
    this.full = Math.min(this.full, word);
    while (this.words[this.full] === -1) this.full++;
    this.last = Math.max(this.last, word);
    while (this.last > this.full && this.words[this.last] === 0) this.last--;
  }

  key(): string {
    return `${this.full}:${this.words.subarray(this.full, this.last + 1).join()}`;
  }

  copy(): Int32Array {
    return this.words.slice();
  }

  covers(other: Int32Array): boolean {
    return other.every((word, i) => (word & ~this.words[i]!) === 0);
  }
}
