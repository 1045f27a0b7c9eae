/** What a transaction did to one list. */
export type ListOperation =
  | { readonly kind: 'append'; readonly key: string; readonly value: string }
  /** What the list held, in its order, with what the transaction itself had appended before. */
  | { readonly kind: 'read'; readonly key: string; readonly values: readonly string[] };

/** A transaction as its client saw it. Times are of one clock, common to all clients. */
export interface ListTransaction {
  /** In the order in which they were done; of one that did not commit, only its appends matter. */
  readonly operations: readonly ListOperation[];
  readonly callMs: number;
  /** Infinity where the outcome is unknown. */
  readonly returnMs: number;
  readonly outcome: 'committed' | 'aborted' | 'unknown';
}

type EdgeKind = 'ww' | 'wr' | 'rw' | 'time';

interface Edge {
  readonly kind: EdgeKind;
  readonly to: number;
  /** The list by which the order is known; none where it is by time. */
  readonly key: string;
}

/** Of each transaction, to those that come after it. */
type Edges = readonly (readonly Edge[])[];

interface Appender {
  readonly transaction: number;
  /** The transaction's last append to this list. */
  readonly last: boolean;
}

const DEPENDENCIES: readonly EdgeKind[] = ['ww', 'wr'];

/** How each anomaly shows, the gravest first (Adya 1999, Elle §3). */
const ANOMALIES: readonly (readonly [name: string, find: (edges: Edges) => string | undefined])[] =
  [
    ['writes depend on each other (G0)', (it) => findCycle(it, ['ww'])],
    ['information flows in a circle (G1c)', (it) => findCycle(it, DEPENDENCIES)],
    ['a transaction missed what it had to see (G-single)', findSingle],
    ['not serializable (G2)', (it) => findCycle(it, [...DEPENDENCIES, 'rw'])],
    [
      'serializable, but not in the order of time',
      (it) => findCycle(it, [...DEPENDENCIES, 'rw', 'time']),
    ],
  ];

/**
 * Whether transactions that append to lists and read them are strictly serializable; returns what is
 * wrong, at best nothing. A value may be appended to a list once only. What a list holds tells the
 * whole order of its appends, so that the order of transactions follows from what they read: a cycle in
 * it is an anomaly (Kingsbury and Alvaro, "Elle", 2020). Transactions are named by their place in
 * `history`, from 0.
 */
export function checkListAppend(history: readonly ListTransaction[]): string[] {
  const problems: string[] = [];
  const appenders = appendersOf(history, problems);
  const orders = ordersOf(history, problems);
  history.forEach((transaction, i) => {
    if (transaction.outcome === 'committed') checkReads(transaction, i, appenders, problems);
  });
  const edges = dependencies(history, appenders, orders, problems);
  if (problems.length > 0) return problems;
  for (const [name, find] of ANOMALIES) {
    const cycle = find(edges);
    if (cycle !== undefined) return [`${name}: ${cycle}`];
  }
  return [];
}

function appendersOf(
  history: readonly ListTransaction[],
  problems: string[],
): Map<string, Map<string, Appender>> {
  const appenders = new Map<string, Map<string, Appender>>();
  history.forEach(({ operations }, transaction) => {
    const lastOf = new Map<string, string>();
    for (const it of operations) if (it.kind === 'append') lastOf.set(it.key, it.value);
    for (const it of operations) {
      if (it.kind !== 'append') continue;
      const values = appenders.get(it.key) ?? new Map<string, Appender>();
      appenders.set(it.key, values);
      if (values.has(it.value)) problems.push(`"${it.value}" is appended twice to ${it.key}`);
      values.set(it.value, { transaction, last: lastOf.get(it.key) === it.value });
    }
  });
  return appenders;
}

/** The longest that was read of each list; everything else that was read must be its beginning. */
function ordersOf(
  history: readonly ListTransaction[],
  problems: string[],
): Map<string, readonly string[]> {
  const orders = new Map<string, readonly string[]>();
  const reads: (ListOperation & { kind: 'read'; transaction: number })[] = [];
  history.forEach(({ operations, outcome }, transaction) => {
    if (outcome !== 'committed') return;
    for (const it of operations) {
      if (it.kind !== 'read') continue;
      reads.push({ ...it, transaction });
      if (it.values.length > (orders.get(it.key)?.length ?? -1)) orders.set(it.key, it.values);
    }
  });
  for (const { key, values, transaction } of reads) {
    const order = orders.get(key) ?? [];
    if (values.some((value, i) => value !== order[i])) {
      problems.push(
        `${transaction} read ${key} as [${values}], which is no beginning of [${order}]`,
      );
    }
  }
  for (const [key, order] of orders) {
    if (new Set(order).size < order.length) problems.push(`${key} holds a value twice: [${order}]`);
  }
  return orders;
}

/** What one transaction read: its own appends, and those of others only as they were committed. */
function checkReads(
  { operations }: ListTransaction,
  transaction: number,
  appenders: ReadonlyMap<string, ReadonlyMap<string, Appender>>,
  problems: string[],
): void {
  const known = new Map<string, readonly string[]>();
  const added = new Map<string, readonly string[]>();
  for (const it of operations) {
    const { key } = it;
    const own = added.get(key) ?? [];
    if (it.kind === 'append') {
      added.set(key, [...own, it.value]);
      const before = known.get(key);
      if (before !== undefined) known.set(key, [...before, it.value]);
      continue;
    }
    const { values } = it;
    const expected = known.get(key) ?? [...values.slice(0, values.length - own.length), ...own];
    if (expected.length !== values.length || expected.some((value, i) => value !== values[i])) {
      problems.push(`${transaction} read ${key} as [${values}] where it had to be [${expected}]`);
    }
    known.set(key, values);
    const foreign = values[values.length - own.length - 1];
    const appender = foreign === undefined ? undefined : appenders.get(key)?.get(foreign);
    if (appender !== undefined && appender.transaction !== transaction && !appender.last) {
      problems.push(
        `${transaction} read ${key} up to "${foreign}", in the middle of a transaction (G1b)`,
      );
    }
  }
}

/** Which transaction must come before which. */
function dependencies(
  history: readonly ListTransaction[],
  appenders: ReadonlyMap<string, ReadonlyMap<string, Appender>>,
  orders: ReadonlyMap<string, readonly string[]>,
  problems: string[],
): Edge[][] {
  const edges: Edge[][] = history.map(() => []);
  const connect = (from: number, to: number, kind: EdgeKind, key: string): void => {
    if (from !== to) edges[from]!.push({ kind, to, key });
  };
  const followersOf = new Map<string, (length: number) => readonly number[]>();
  for (const [key, values] of new Map([...appenders, ...unappended(orders, appenders)])) {
    const order = orders.get(key) ?? [];
    const writers = order.map((value) => {
      const writer = values.get(value)?.transaction;
      if (writer === undefined) problems.push(`${key} holds "${value}", which nobody appended`);
      else if (history[writer]!.outcome === 'aborted')
        problems.push(`${key} holds "${value}" of ${writer}, which was aborted (G1a)`);
      return writer;
    });
    const seen = new Set(order);
    const unseen = [...values]
      .filter(([value, it]) => !seen.has(value) && history[it.transaction]!.outcome === 'committed')
      .map(([, it]) => it.transaction);
    // What was committed and never read stands behind all that was.
    const after = (length: number): readonly number[] => {
      const next = writers[length];
      return length < writers.length ? (next === undefined ? [] : [next]) : unseen;
    };
    writers.forEach((writer, i) => {
      if (writer !== undefined) for (const next of after(i + 1)) connect(writer, next, 'ww', key);
    });
    followersOf.set(key, after);
  }
  history.forEach(({ operations, outcome }, reader) => {
    if (outcome !== 'committed') return;
    for (const it of operations) {
      if (it.kind !== 'read') continue;
      const writer = appenders.get(it.key)?.get(it.values.at(-1) ?? '')?.transaction;
      if (it.values.length > 0 && writer !== undefined) connect(writer, reader, 'wr', it.key);
      for (const next of followersOf.get(it.key)?.(it.values.length) ?? []) {
        connect(reader, next, 'rw', it.key);
      }
    }
  });
  connectByTime(history, (from, to) => connect(from, to, 'time', ''));
  return edges;
}

function unappended(
  orders: ReadonlyMap<string, readonly string[]>,
  appenders: ReadonlyMap<string, unknown>,
): [string, Map<string, Appender>][] {
  return [...orders.keys()].filter((it) => !appenders.has(it)).map((it) => [it, new Map()]);
}

/** Whoever returned before another began comes before it; what follows from two such is left out. */
function connectByTime(
  history: readonly ListTransaction[],
  connect: (from: number, to: number) => void,
): void {
  const ids = history.map((_, i) => i).filter((i) => history[i]!.outcome !== 'aborted');
  const byCall = ids.sort((a, b) => history[a]!.callMs - history[b]!.callMs);
  for (const from of ids) {
    const { returnMs } = history[from]!;
    let firstReturnMs = Infinity;
    for (const to of byCall) {
      const next = history[to]!;
      if (next.callMs <= returnMs) continue;
      if (next.callMs > firstReturnMs) break;
      connect(from, to);
      firstReturnMs = Math.min(firstReturnMs, next.returnMs);
    }
  }
}

/** A cycle of edges of these kinds, in words; the shortest through the first transaction that has one. */
function findCycle(edges: Edges, kinds: readonly EdgeKind[]): string | undefined {
  for (const from of cyclic(edges, kinds)) {
    const steps = shortestWay(edges, kinds, from, from);
    if (steps !== undefined) return `${from} ${steps}`;
  }
  return undefined;
}

/** A cycle in which one transaction alone has read what was overwritten. */
function findSingle(edges: Edges): string | undefined {
  for (const from of cyclic(edges, [...DEPENDENCIES, 'rw'])) {
    for (const { kind, key, to } of edges[from]!) {
      if (kind !== 'rw') continue;
      const steps = shortestWay(edges, DEPENDENCIES, to, from);
      if (steps !== undefined) return `${from} -rw ${key}-> ${to} ${steps}`;
    }
  }
  return undefined;
}

/** What remains when those without anything before them are taken away, again and again (Kahn 1962). */
function cyclic(edges: Edges, kinds: readonly EdgeKind[]): Set<number> {
  const before = edges.map(() => 0);
  for (const out of edges) for (const { kind, to } of out) if (kinds.includes(kind)) before[to]!++;
  const left = new Set(edges.keys());
  const free = [...left].filter((i) => before[i] === 0);
  for (let i = free.pop(); i !== undefined; i = free.pop()) {
    left.delete(i);
    for (const { kind, to } of edges[i]!) {
      if (kinds.includes(kind) && --before[to]! === 0) free.push(to);
    }
  }
  return left;
}

function shortestWay(
  edges: Edges,
  kinds: readonly EdgeKind[],
  start: number,
  end: number,
): string | undefined {
  const reached = new Map<number, string>([[start, '']]);
  const queue = [start];
  for (const from of queue) {
    for (const { kind, key, to } of edges[from]!) {
      if (!kinds.includes(kind)) continue;
      const way = `${reached.get(from)}-${kind}${key === '' ? '' : ` ${key}`}-> ${to} `;
      if (to === end) return way.trimEnd();
      if (reached.has(to)) continue;
      reached.set(to, way);
      queue.push(to);
    }
  }
  return undefined;
}
