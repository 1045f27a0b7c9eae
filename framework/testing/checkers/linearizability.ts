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
    const explained = explain(model, operations);
    if (explained !== undefined) return { ok: false, partition, explainedAtMost: explained };
  }
  return { ok: true };
}

interface Node {
  readonly id: number;
  /** The return that belongs to a call; undefined for a return. */
  match: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

/** How many operations could be explained at most, if not all that have returned. */
function explain<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): number | undefined {
  const head = timeline(operations);
  const seen = new Map<string, true>();
  const stack: { node: Node; state: State }[] = [];
  const linearized = new Bits(operations.length);
  let state = model.initial;
  let mustReturn = operations.filter((it) => it.returnMs !== Infinity).length;
  let best = 0;
  let node = head.next;
  while (mustReturn > 0) {
    if (node?.match !== undefined) {
      const { input, output, returnMs } = operations[node.id]!;
      const after = model.step(state, input, output);
      linearized.flip(node.id);
      const key = after === undefined ? '' : `${linearized.key()}|${model.key(after)}`;
      if (after !== undefined && !seen.has(key)) {
        seen.set(key, true);
        stack.push({ node, state });
        state = after;
        if (returnMs !== Infinity) mustReturn--;
        best = Math.max(best, stack.length);
        lift(node);
        node = head.next;
      } else {
        linearized.flip(node.id);
        node = node.next;
      }
      continue;
    }
    // A return came before its operation took effect: an earlier choice was wrong.
    const last = stack.pop();
    if (last === undefined) return best;
    state = last.state;
    linearized.flip(last.node.id);
    if (operations[last.node.id]!.returnMs !== Infinity) mustReturn++;
    unlift(last.node);
    node = last.node.next;
  }
  return undefined;
}

/** Calls and returns in the order of time; at the same moment calls come first. */
function timeline(operations: readonly Operation<unknown, unknown>[]): Node {
  const events: { node: Node; timeMs: number; order: number }[] = [];
  operations.forEach(({ callMs, returnMs }, id) => {
    const end: Node = { id, match: undefined, previous: undefined, next: undefined };
    const start: Node = { id, match: end, previous: undefined, next: undefined };
    events.push(
      { node: start, timeMs: callMs, order: 0 },
      { node: end, timeMs: returnMs, order: 1 },
    );
  });
  events.sort((a, b) => (a.timeMs === b.timeMs ? a.order - b.order : a.timeMs - b.timeMs));
  const head: Node = { id: -1, match: undefined, previous: undefined, next: undefined };
  let last = head;
  for (const { node } of events) {
    node.previous = last;
    last.next = node;
    last = node;
  }
  return head;
}

function lift(call: Node): void {
  for (const node of [call, call.match!]) {
    node.previous!.next = node.next;
    if (node.next !== undefined) node.next.previous = node.previous;
  }
}

function unlift(call: Node): void {
  for (const node of [call.match!, call]) {
    node.previous!.next = node;
    if (node.next !== undefined) node.next.previous = node;
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
}

/** An operation on a map of registers. */
export type RegisterInput =
  | { readonly kind: 'get' | 'delete'; readonly key: string }
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | {
      readonly kind: 'cas';
      readonly key: string;
      readonly from: string | null;
      readonly to: string;
    };

/** `get`: the value, null for none. `cas`: whether it was done. Others: null. */
export type RegisterOutput = string | null | boolean;

/** A map with get, put, delete and compare-and-set, each key by itself. */
export const registerModel: SequentialModel<string | null, RegisterInput, RegisterOutput> = {
  initial: null,
  partition: ({ key }) => key,
  key: (state) => (state === null ? '-' : `=${state}`),
  step: (state, input, output) => {
    switch (input.kind) {
      case 'get':
        return output === undefined || output === state ? state : undefined;
      case 'put':
        return input.value;
      case 'delete':
        return null;
      case 'cas': {
        const done = input.from === state;
        if (output !== undefined && output !== done) return undefined;
        return done ? input.to : state;
      }
    }
  },
};
