import {
  checkList,
  checkNames,
  checkSignal,
  type OptionNames,
  onAbort,
  reasonOf,
  VarlogError,
  Wakeups,
} from '../base/index.ts';
import type { ChangeEvent, ChangesOptions } from './change-history.ts';

/** What the machine of one shard emitted at one position of its log, or a bookmark of it. */
export type ShardChangeEvent<Change> = ChangeEvent<Change> & { readonly shard: number };

export interface ShardChangesOptions {
  /**
   * The first position to hear of, for each shard, by their number: to go on after a restart, the one after that of its last event. Default:
   * what comes from now on.
   */
  from?: readonly number[];
  signal?: AbortSignal;
}

const NAMES: OptionNames<ShardChangesOptions> = { from: true, signal: true };

interface Shard {
  changes<Change>(options: ChangesOptions): AsyncIterable<ChangeEvent<Change>>;
}

type Arrival<Change> =
  | { readonly shard: number; readonly result: IteratorResult<ChangeEvent<Change>> }
  | { readonly shard: number; readonly error: unknown };

/**
 * The changes of all shards in one iteration, each shard's in its order. One event of each is read ahead and no more, so a
 * slow reader costs as little here as at one replica. Throws `INVALID_ARGUMENT` and `POSITION_OUT_OF_RANGE` for a `from`
 * that is none; the iteration throws what the one of a shard throws, with its number in `details.shard`.
 */
export function mergeChanges<Change>(
  shards: readonly Shard[],
  options: ShardChangesOptions,
): AsyncIterable<ShardChangeEvent<Change>> {
  checkShardChanges(options, shards.length);
  const { from, signal } = options;
  const closing = new AbortController();
  const readers = shards.map((it, shard) => {
    // A gap in the list is no position either, and not "from now on".
    const begin = from === undefined ? {} : { from: from[shard] ?? Number.NaN };
    return it.changes<Change>({ ...begin, signal: closing.signal });
  });
  return merged(readers, closing, signal);
}

/** Throws `INVALID_ARGUMENT` for options that changes of so many shards do not have. */
export function checkShardChanges(options: ShardChangesOptions, shards: number): void {
  checkNames(options, NAMES, 'changes');
  checkSignal(options.signal);
  checkList(options.from, 'from', shards, 'one position for each shard');
}

async function* merged<Change>(
  readers: readonly AsyncIterable<ChangeEvent<Change>>[],
  closing: AbortController,
  signal: AbortSignal | undefined,
): AsyncGenerator<ShardChangeEvent<Change>, void> {
  const iterators = readers.map((it) => it[Symbol.asyncIterator]());
  // Not a race of promises: each round of one would leave something at the shards where nothing happens.
  const arrived: Arrival<Change>[] = [];
  const wakeups = new Wakeups();
  const take = (arrival: Arrival<Change>): void => {
    arrived.push(arrival);
    wakeups.wake();
  };
  const ask = (shard: number): void => {
    iterators[shard]!.next().then(
      (result) => take({ shard, result }),
      (error: unknown) => take({ shard, error }),
    );
  };
  const forget = onAbort(signal, () => closing.abort());
  try {
    for (const shard of iterators.keys()) ask(shard);
    for (let open = iterators.length; open > 0 && !closing.signal.aborted; ) {
      const next = arrived.shift();
      if (next === undefined) await wakeups.wait();
      else if ('error' in next) throw unreadable(next.shard, next.error);
      else if (next.result.done === true) open--;
      else {
        yield { ...next.result.value, shard: next.shard };
        ask(next.shard);
      }
    }
  } finally {
    forget();
    closing.abort();
  }
}

function unreadable(shard: number, cause: unknown): VarlogError {
  const [code, details] = VarlogError.is(cause)
    ? [cause.code, cause.details]
    : ['INTERNAL' as const];
  return new VarlogError(code, {
    what: `the changes of shard ${shard} cannot be read on`,
    because: reasonOf(cause),
    next: 'those of the others can, each at `replicas`',
    details: { ...details, shard },
    cause,
  });
}
