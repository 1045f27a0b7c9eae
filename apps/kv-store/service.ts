import { type OrderedLog, VarlogError } from 'varlog/log';
import type { Replica } from 'varlog/smr';
import { invalid, taken } from '../inputs.ts';
import type { Condition } from './condition.ts';
import { Expected, KeyText } from './inputs.ts';
import { isInRange, type Key, type KeyRange, keyOfText, keysWithPrefix } from './key.ts';
import { logTag, ofAnotherLog } from './log-tag.ts';
import type {
  EtcdCommand,
  EtcdResult,
  KvCommand,
  KvMachine,
  KvResult,
  KvWrite,
} from './machine.ts';
import { type NamedKey, named } from './named-key.ts';
import { ANSWER_BYTES_MAX } from './range.ts';
import type { Version } from './version.ts';

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

/** A value and the revision of the command that wrote it. */
export interface Versioned {
  value: Uint8Array;
  revision: number;
}

export interface Listing {
  items: (Versioned & NamedKey)[];
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
  readonly changes: readonly Version[];
  /** A watch from the next one on misses nothing. */
  readonly through: number;
  /** Identity of the log in which these revisions count, for {@link WatchStart.log}. */
  readonly log: string;
}

/** A value may have this many bytes. */
export const VALUE_BYTES_MAX = 512 * 1024;
const TAG_MS = 5_000;
/** A watcher for whom nothing comes is told how far the store has come, this often in revisions … */
const PROGRESS_EVERY = 1_000;
/** … and in time, so that whatever lies between does not take the connection for a dead one. */
const HEARTBEAT_MS = 15_000;

/** What runs the machine. */
export type StoreReplica = Replica<KvCommand, KvResult | EtcdResult, KvMachine>;

/** The key-value store as its servers (gRPC, HTTP) see it. */
export class KvService {
  private readonly replica: StoreReplica;
  private readonly orderedLog: Pick<OrderedLog, 'identity'>;
  private readonly heartbeatMs: number;
  private own = '';
  private readonly watching = new Set<AbortController>();
  private closed: VarlogError | undefined;

  /** `log`: the one that `replica` follows. A watcher is told of an idle store every `heartbeatMs`. */
  constructor(
    replica: StoreReplica,
    log: Pick<OrderedLog, 'identity'>,
    heartbeatMs: number = HEARTBEAT_MS,
  ) {
    this.replica = replica;
    this.orderedLog = log;
    this.heartbeatMs = heartbeatMs;
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
    return this.watching.size;
  }

  /** Rejects with `INVALID_ARGUMENT`, `ENTRY_TOO_LARGE`, `REQUEST_MISMATCH`, `TIMEOUT`, or why the replica ended. */
  put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<KvResult> {
    // An `async` function would make two more promises for each put.
    try {
      if (value.length > VALUE_BYTES_MAX) throw tooLarge(value.length);
      return this.write({ op: 'put', key: checked(key), value }, options);
    } catch (error) {
      return Promise.reject(error);
    }
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
    return this.read((machine) => {
      const found = machine.get(checked(key));
      return found && { value: found.value, revision: found.revision };
    }, options);
  }

  /** Looks at the machine, which must not be changed or kept. Rejects with what `look` throws. */
  read<T>(look: (machine: KvMachine) => T, { stale = false }: ReadOptions = {}): Promise<T> {
    return this.onceLogIsKnown(
      this.replica.query(look, { consistency: stale ? 'stale' : 'linearizable' }),
    );
  }

  /** Has a command of etcd's interface take effect. Rejects like {@link put}. */
  perform(command: EtcdCommand): Promise<EtcdResult> {
    return this.onceLogIsKnown(this.replica.execute(command)) as Promise<EtcdResult>;
  }

  /** The machine of this replica as it is: a stale view, to be looked at and not kept. */
  get machine(): KvMachine {
    return this.replica.machine;
  }

  /** How far this replica has applied the log. */
  get position(): number {
    return this.replica.position;
  }

  /** The keys with a prefix. Rejects with `INVALID_ARGUMENT` where they have more than {@link ANSWER_BYTES_MAX} bytes. */
  async list(prefix: string, options: ReadOptions = {}): Promise<Listing> {
    const found = await this.read((machine) => {
      const items = [...machine.range(keysWithPrefix(keyOfText(prefix)))];
      return { items, revision: machine.revision };
    }, options);
    let bytes = 0;
    for (const { key, value } of found.items) bytes += key.length + value.length;
    if (bytes <= ANSWER_BYTES_MAX) {
      const items = found.items.map(({ key, value, revision }) => ({
        ...named(key),
        value,
        revision,
      }));
      return { items, revision: found.revision, log: this.own };
    }
    throw invalid(
      `the keys with prefix "${prefix.slice(0, 100)}" have ${bytes} bytes`,
      'give a longer prefix',
    );
  }

  /**
   * Every change of the keys of a range from where it is to begin, each once, in order, the changes of one revision
   * together. Piece by piece, as it is asked for: who reads slowly costs no memory. Says at first where it begins, and now
   * and then, without a change, how far it has come. `passed` is told more often: all up to there is on its way.
   *
   * Ends only by an error: `LOG_MISMATCH` where that revision is another log's, `TRIMMED` where it is no longer known
   * here, why the replica ended, `CLOSED` when it shuts down, or the reason of `signal`.
   */
  async *watch(
    range: KeyRange,
    start: WatchStart,
    signal: AbortSignal,
    passed: (through: number) => void = () => {},
  ): AsyncGenerator<Watched> {
    const { replica } = this;
    const { machine } = replica;
    signal.throwIfAborted();
    if (this.closed !== undefined) throw this.closed;
    // Not `AbortSignal.any`: what that makes of a signal that lives long stays with it.
    const ending = new AbortController();
    const either = ending.signal;
    const end = (): void => ending.abort(signal.reason);
    signal.addEventListener('abort', end);
    this.watching.add(ending);
    try {
      // A replica that has ended does not begin with a watch.
      await this.applied(0, Number.POSITIVE_INFINITY, either);
      const log = await this.tag(either);
      if (start.log !== undefined && start.log !== log) throw ofAnotherLog(start.log, log);
      // What is beyond would not grow by what is added to it, and the loop below never rest.
      let next = Math.min(start.from ?? machine.revision + 1, Number.MAX_SAFE_INTEGER);
      if (next <= machine.history.forgotten) throw noLongerKnown(next);
      let reported = next - 1;
      let reportedMs = performance.now();
      yield { changes: [], through: reported, log };
      for (;;) {
        either.throwIfAborted();
        passed(next - 1);
        const changes = machine.history.from(next);
        if (changes === undefined) throw noLongerKnown(next);
        const more = changes.length > 0;
        next = more ? changes.at(-1)!.revision + 1 : Math.max(next, machine.revision + 1);
        const wanted = changes.filter(({ key }) => isInRange(key, range));
        const silentMs = performance.now() - reportedMs;
        const isDue = next - 1 >= reported + PROGRESS_EVERY || silentMs >= this.heartbeatMs;
        if (wanted.length > 0 || isDue) {
          reported = next - 1;
          reportedMs = performance.now();
          yield { changes: wanted, through: reported, log };
        } else if (!more)
          await this.applied(replica.position + 1, this.heartbeatMs - silentMs, either);
      }
    } finally {
      signal.removeEventListener('abort', end);
      this.watching.delete(ending);
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
    this.closed = new VarlogError('CLOSED', {
      what: 'this replica shuts down',
      next: 'watch on at another one, from the revision behind the last that was seen',
    });
    for (const ending of this.watching) ending.abort(this.closed);
  }

  /** Resolves when the log is applied up to `position`, or so much time has passed. Rejects when the replica has ended. */
  private async applied(position: number, ms: number, signal: AbortSignal): Promise<void> {
    const timeoutMs = Math.max(1, ms);
    try {
      await this.replica.query(() => {}, { timeoutMs, consistency: { atLeast: position }, signal });
    } catch (error) {
      if (!VarlogError.is(error, 'TIMEOUT')) throw error;
    }
  }

  private write(write: KvWrite, { condition, requestId }: WriteOptions): Promise<KvResult> {
    const command = condition === undefined ? write : { ...write, condition };
    const options = requestId === undefined ? {} : { requestId };
    return this.onceLogIsKnown(this.replica.execute(command, options)) as Promise<KvResult>;
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

function checked(key: string): Key {
  return keyOfText(taken(KeyText, key, 'key', 'give another one'));
}

function tooLarge(bytes: number): VarlogError {
  return new VarlogError('ENTRY_TOO_LARGE', {
    what: `the value has ${bytes} bytes, and the limit is ${VALUE_BYTES_MAX}`,
    next: 'split it',
    outcome: 'notAppended',
  });
}
