import { type OrderedLog, VarlogError } from 'varlog/log';
import type { Replica } from 'varlog/smr';
import { invalid, taken } from '../inputs.ts';
import type { Change } from './change-history.ts';
import type { Condition } from './condition.ts';
import { Expected, Key } from './inputs.ts';
import { logTag, ofAnotherLog } from './log-tag.ts';
import type { KvCommand, KvMachine, KvResult, Versioned } from './machine.ts';

export interface ReadOptions {
  /** Answer from what this replica has, without asking the others. */
  stale?: boolean;
}

export interface WriteOptions {
  /** Without it the write takes place whatever is there. */
  condition?: Condition;
  /**
   * Unique: the same id takes effect once, however often and wherever it is sent, while it is kept: for 24 hours, and up
   * to 64 MiB of them, over which the oldest go early. With another write it is refused (`REQUEST_MISMATCH`).
   */
  requestId?: string;
}

export interface Listing {
  items: (Versioned & { key: string })[];
  /** Revision of the state that the items were read from. */
  revision: number;
  /** Identity of the log in which revisions count, for {@link WatchStart.log}. Empty while nothing was ever written. */
  log: string;
}

/** Where a watch begins. */
export interface WatchStart {
  /** The first revision to see. Default: from now on. */
  from?: number;
  /** Identity of the log in which `from` counts, as a listing or a watch reported it. Not checked when left out. */
  log?: string;
}

/** What a watcher gets at a time: the changes, often none, among all those up to revision `through`. */
export interface Watched {
  readonly changes: readonly Change[];
  /** A watch from the next one on misses nothing. */
  readonly through: number;
  /** Identity of the log in which these revisions count, for {@link WatchStart.log}. */
  readonly log: string;
}

/** A value may have this many bytes. */
export const VALUE_BYTES_MAX = 512 * 1024;
/** A listing may have this many bytes. */
export const LIST_BYTES_MAX = 16 * 1024 * 1024;
const TAG_MS = 5_000;
/** A watcher for whom nothing comes is told this often, in revisions, how far the store has come. */
const PROGRESS_EVERY = 1_000;

/** The key-value store as its servers (gRPC, HTTP) see it. */
export class KvService {
  private readonly replica: Replica<KvCommand, KvResult, KvMachine>;
  private readonly orderedLog: Pick<OrderedLog, 'identity'>;
  private readonly closing = new AbortController();
  private own = '';
  private watching = 0;

  /** `log`: the one that `replica` follows. */
  constructor(replica: Replica<KvCommand, KvResult, KvMachine>, log: Pick<OrderedLog, 'identity'>) {
    this.replica = replica;
    this.orderedLog = log;
  }

  /**
   * The log in which all revisions count that were answered until now, as {@link Listing.log} names it. Empty where there
   * were none.
   */
  get log(): string {
    return this.own;
  }

  /** How many watch at the moment. */
  get watchers(): number {
    return this.watching;
  }

  /** Rejects with `INVALID_ARGUMENT`, `ENTRY_TOO_LARGE`, `REQUEST_MISMATCH`, `TIMEOUT`, or why the replica ended. */
  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<KvResult> {
    if (value.length > VALUE_BYTES_MAX) throw tooLarge(value.length);
    return this.write({ op: 'put', key: checked(key), value }, options);
  }

  /** Rejects like {@link put}. */
  async delete(key: string, options: WriteOptions = {}): Promise<KvResult> {
    return this.write({ op: 'delete', key: checked(key) }, options);
  }

  /**
   * Writes only if the key's revision is `expected`; 0: only if there is no such key. `log`: in which that revision counts,
   * as it was answered with it; left out: not checked. Rejects like {@link put}, and with `LOG_MISMATCH` where it is
   * another log's.
   */
  async compareAndSet(
    key: string,
    expected: number,
    value: Uint8Array,
    { log, ...options }: Omit<WriteOptions, 'condition'> & { log?: string } = {},
  ): Promise<KvResult> {
    taken(Expected, expected, 'expected', 'give one that the store has answered with');
    if (log !== undefined) {
      const own = await this.tag();
      if (log !== own) throw ofAnotherLog(log, own);
    }
    const condition: Condition = expected === 0 ? { ifNoneMatch: 'any' } : { ifMatch: [expected] };
    return this.put(key, value, { ...options, condition });
  }

  async get(key: string, options: ReadOptions = {}): Promise<Versioned | undefined> {
    return this.read((machine) => machine.get(checked(key)), options);
  }

  /** The keys with a prefix. Rejects with `INVALID_ARGUMENT` where they have more than {@link LIST_BYTES_MAX} bytes. */
  async list(prefix: string, options: ReadOptions = {}): Promise<Listing> {
    const found = await this.read((machine) => {
      const items = machine.list(prefix);
      return { items, revision: this.replica.position };
    }, options);
    let bytes = 0;
    for (const { key, value } of found.items) bytes += key.length + value.length;
    if (bytes <= LIST_BYTES_MAX) return { ...found, log: this.own };
    throw invalid(
      `the keys with prefix "${prefix.slice(0, 100)}" have ${bytes} bytes`,
      'give a longer prefix',
    );
  }

  /**
   * Every change of the keys with `prefix` from where it is to begin, each once, in order. Piece by piece, as it is asked
   * for: who reads slowly costs no memory. Says at first where it begins.
   *
   * Ends only by an error: `LOG_MISMATCH` where that revision is another log's, `TRIMMED` where it is no longer known
   * here, why the replica ended, `CLOSED` when it shuts down, or the reason of `signal`.
   */
  async *watch(prefix: string, start: WatchStart, signal: AbortSignal): AsyncGenerator<Watched> {
    const { replica } = this;
    const either = AbortSignal.any([signal, this.closing.signal]);
    const forEver = { timeoutMs: Number.POSITIVE_INFINITY };
    // A replica that has ended does not begin with a watch.
    await replica.query(() => {}, { ...forEver, consistency: { atLeast: 0 }, signal: either });
    const log = await this.tag(either);
    if (start.log !== undefined && start.log !== log) throw ofAnotherLog(start.log, log);
    let next = start.from ?? replica.position + 1;
    if (next <= replica.machine.history.forgotten) throw noLongerKnown(next);
    let reported = next - 1;
    this.watching++;
    try {
      yield { changes: [], through: reported, log };
      for (;;) {
        await replica.query(() => {}, {
          ...forEver,
          consistency: { atLeast: next },
          signal: either,
        });
        for (let more = true; more; ) {
          either.throwIfAborted();
          const changes = replica.machine.history.from(next);
          if (changes === undefined) throw noLongerKnown(next);
          more = changes.length > 0;
          next = more ? changes.at(-1)!.revision + 1 : Math.max(next, replica.position + 1);
          const wanted = changes.filter(({ key }) => key.startsWith(prefix));
          if (wanted.length === 0 && next - 1 < reported + PROGRESS_EVERY) continue;
          reported = next - 1;
          yield { changes: wanted, through: reported, log };
        }
      }
    } finally {
      this.watching--;
    }
  }

  /**
   * The log in which revisions count, as {@link Listing.log} names it. Rejects with `UNAVAILABLE` where it has not said so
   * yet, which only a new one may not have, or the reason of `signal`, without which it waits for five seconds.
   */
  async tag(signal?: AbortSignal): Promise<string> {
    const limit = signal === undefined ? { timeoutMs: TAG_MS } : { signal, timeoutMs: Infinity };
    if (this.own === '') this.own = logTag(await this.orderedLog.identity(limit));
    return this.own;
  }

  /** Ends all watches, so that their readers go on at another replica. */
  endWatches(): void {
    this.closing.abort(
      new VarlogError('CLOSED', {
        what: 'this replica shuts down',
        next: 'watch on at another one, from the revision behind the last that was seen',
      }),
    );
  }

  private read<T>(look: (machine: KvMachine) => T, { stale = false }: ReadOptions): Promise<T> {
    return this.onceLogIsKnown(
      this.replica.query(look, { consistency: stale ? 'stale' : 'linearizable' }),
    );
  }

  private write(command: KvCommand, { condition, requestId }: WriteOptions): Promise<KvResult> {
    const conditional = condition === undefined ? command : { ...command, condition };
    return this.onceLogIsKnown(
      this.replica.execute(conditional, requestId === undefined ? {} : { requestId }),
    );
  }

  /** No revision is told before its log is known. */
  private onceLogIsKnown<T>(answer: Promise<T>): Promise<T> {
    if (this.own !== '') return answer;
    return answer.then(async (it) => {
      // A log of which something was applied has said which one it is.
      if (this.replica.position > 0) await this.tag();
      return it;
    });
  }
}

function noLongerKnown(revision: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `changes from revision ${revision} on are no longer known`,
    next: 'list the keys, then watch from the revision behind that of the list',
  });
}

function checked(key: string): string {
  return taken(Key, key, 'key', 'give another one');
}

function tooLarge(bytes: number): VarlogError {
  return new VarlogError('ENTRY_TOO_LARGE', {
    what: `the value has ${bytes} bytes, and the limit is ${VALUE_BYTES_MAX}`,
    next: 'split it',
    outcome: 'notAppended',
  });
}
