import { combineLatest, distinctUntilChanged, map, type Observable } from 'rxjs';
import { type LogCallOptions, type OrderedLog, VarlogError } from '../base/index.ts';
import { asObservable } from './change-history.ts';
import type { ExecuteOptions } from './execute-options.ts';
import { fnv1a } from './fnv.ts';
import type { Replica } from './replica.ts';
import type { Consistency, ReplicaOptions } from './replica-options.ts';
import type { ReplicaStatus } from './replica-status.ts';
import {
  checkShardChanges,
  mergeChanges,
  type ShardChangeEvent,
  type ShardChangesOptions,
} from './shard-changes.ts';
import { healthOf, type ShardsHealth, sameHealth } from './shard-health.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { SpeculateOptions, Speculation } from './speculation.ts';
import type { StateMachine } from './state-machine.ts';

const SHARDS_MAX = 1_024;

/** What a machine over several logs is made of. */
export interface ShardOptions<Command, Result, Snapshot, Machine>
  extends Omit<
    ReplicaOptions<Command, Result, Snapshot, Machine>,
    'machine' | 'log' | 'snapshots' | 'alone'
  > {
  /** Makes the machine of a shard, 0, 1, 2, …: each has the state of its own keys. */
  readonly machine: (shard: number) => Machine & StateMachine<Command, Result, Snapshot>;
  /**
   * What a command is about: all commands about one key meet in one shard, in one order. Several keys are allowed where
   * they lie in the same shard. It MUST give the same for the same command, for ever.
   */
  readonly keyOf: (command: Command) => string | readonly string[];
  /** Where each shard keeps its snapshots. */
  readonly snapshots?: (shard: number) => SnapshotStore;
}

/** The shard that has `key`, of so many: its FNV-1a hash, modulo their number. For ever. */
export function shardOf(key: string, shards: number): number {
  return Number(fnv1a(key) % BigInt(shards));
}

/** Name of the machine of a shard: what one wrote is nothing to another, and to the same one of another number of shards. */
export function shardName(name: string, shard: number, shards: number): string {
  return `${name} ${shard}/${shards}`;
}

/**
 * One machine over several logs, for more commands than one log orders: each key has its shard, and each shard is an
 * ordinary replica on a log of its own. Within a shard everything holds that holds for a replica; between two, nothing is
 * ordered, and no command takes effect in both. Their number is fixed. Made by `startShards`.
 */
export class Shards<Command, Result, Machine> {
  /** How each shard fares, now and from now on; a shard whose log is another one's has `failed`. */
  readonly status$: Observable<readonly ReplicaStatus[]>;
  /** How all of them fare together, now and whenever that changes: the worst of them, and which shard says why. */
  readonly health$: Observable<ShardsHealth>;
  /** By their number, for what concerns one shard. */
  readonly replicas: readonly Replica<Command, Result, Machine>[];
  private readonly keyOf: (command: Command) => string | readonly string[];

  /** `keyOf`: as in the options. */
  constructor(
    replicas: readonly Replica<Command, Result, Machine>[],
    keyOf: (command: Command) => string | readonly string[],
  ) {
    this.replicas = replicas;
    this.keyOf = keyOf;
    this.status$ = combineLatest(replicas.map((it) => it.status$));
    this.health$ = this.status$.pipe(map(healthOf), distinctUntilChanged(sameHealth));
  }

  /** How many there are. */
  get count(): number {
    return this.replicas.length;
  }

  /** How far each of them is: all commands of its log up to there have been applied. */
  get positions(): readonly number[] {
    return this.replicas.map((it) => it.position);
  }

  /** The number of the shard that has `key`. */
  shardOf(key: string): number {
    return shardOf(key, this.count);
  }

  /**
   * Runs a command at the shard of its key: see `Replica.execute`. Rejects with `INVALID_ARGUMENT` where it has no key, or
   * keys in two shards, and with `FAILED_PRECONDITION` where the log of the shard is another one's.
   */
  async execute(command: Command, options: ExecuteOptions = {}): Promise<Result> {
    return this.replicaOf(this.keyOf(command)).execute(command, options);
  }

  /** Runs a command at the shard of its key, and answers it before the log has it: see `Replica.speculate`. */
  async speculate(command: Command, options: SpeculateOptions = {}): Promise<Speculation<Result>> {
    return this.replicaOf(this.keyOf(command)).speculate(command, options);
  }

  /** Looks at the machine of the shard that has `key`: see `Replica.query`. */
  async query<T>(
    key: string,
    look: (machine: Machine) => T,
    options: LogCallOptions & { consistency?: Consistency | 'speculative' } = {},
  ): Promise<T> {
    return this.replicaOf(key).query(look, options);
  }

  /** Looks at the machine of every shard, in their order. What it sees of two shards need not be of one moment. */
  async queryEach<T>(
    look: (machine: Machine, shard: number) => T,
    options: LogCallOptions & { consistency?: Consistency | 'speculative' } = {},
  ): Promise<T[]> {
    return Promise.all(
      this.replicas.map((it, shard) => it.query((machine) => look(machine, shard), options)),
    );
  }

  /**
   * Reads what the machines of all shards emit, at the reader's own pace: see `Replica.changes`. Each event says which shard it is
   * of; those of one shard come in their order, and between two there is none. It ends when all of them are closed. What ends
   * the changes of one shard by an error ends these, and `details.shard` is its number. Throws `INVALID_ARGUMENT` where `from`
   * is not one position for each.
   *
   * ```ts
   * const done = [...shards.positions];
   * for await (const event of shards.changes({ from: done.map((it) => it + 1) })) {
   *   if (event.kind === 'changes') await tell(event.changes);
   *   done[event.shard] = event.position; // keep it, to go on from there
   * }
   * ```
   */
  changes<Change = unknown>(
    options: ShardChangesOptions = {},
  ): AsyncIterable<ShardChangeEvent<Change>> {
    return mergeChanges(this.replicas, options);
  }

  /** The same as an Observable. It has no backpressure: what is slow with an event uses {@link changes}. */
  changes$<Change = unknown>(
    options: Omit<ShardChangesOptions, 'signal'> = {},
  ): Observable<ShardChangeEvent<Change>> {
    checkShardChanges(options, this.replicas.length);
    return asObservable((signal) => this.changes<Change>({ ...options, signal }));
  }

  /**
   * Has a snapshot of each shard kept, whatever the schedule says, and resolves with their positions: see `Replica.snapshot`.
   * Rejects, once all were tried, with the first failure; the snapshots of the others are kept.
   */
  async snapshot(options: LogCallOptions = {}): Promise<readonly number[]> {
    return allOf(this.replicas.map((it) => it.snapshot(options)));
  }

  /** Has the rules of all shards raised: see `Replica.upgradeTo`. What was raised when it rejects stays so; it may be repeated. */
  async upgradeTo(rules: number, options: LogCallOptions = {}): Promise<void> {
    await Promise.all(this.replicas.map((it) => it.upgradeTo(rules, options)));
  }

  /** Closes all of them, also where one cannot keep its snapshot: see `Replica.close`. */
  async close(options: LogCallOptions & { snapshot?: boolean } = {}): Promise<void> {
    await allOf(this.replicas.map((it) => it.close(options)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Resolves when each shard has seen all that its log had. Rejects with `FAILED_PRECONDITION` where one is another's, with
   * `TIMEOUT`, or with the error of a replica that failed. For `startShards`.
   */
  async caughtUp(options: LogCallOptions = {}): Promise<void> {
    await Promise.all(this.replicas.map((it) => it.caughtUp(options)));
  }

  private replicaOf(keys: string | readonly string[]): Replica<Command, Result, Machine> {
    const all = Array.isArray(keys) ? keys : [keys];
    const [first, ...others] = new Set(all.map((it) => this.shardOf(checkedKey(it))));
    if (first === undefined || others.length > 0) throw notOneShard(all, others.length > 0);
    return this.replicas[first]!;
  }
}

/** Their results, or the first failure, once all of them are done. */
async function allOf<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}

/** Which logs these are. Throws `INVALID_ARGUMENT` where they cannot be those of shards: none, too many, or one of them twice. */
export async function identitiesOf(
  logs: readonly OrderedLog[],
  timeoutMs: number,
): Promise<readonly string[]> {
  if (logs.length < 1 || logs.length > SHARDS_MAX) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'shards need their logs',
      next: `give \`logs\`, one for each shard, 1 to ${SHARDS_MAX}`,
    });
  }
  const identities = await Promise.all(logs.map((it) => it.identity({ timeoutMs })));
  for (const [i, it] of identities.entries()) {
    const first = identities.indexOf(it);
    if (first === i) continue;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `shards ${first} and ${i} were given the same log, "${it}"`,
      next: 'give each shard a log of its own',
    });
  }
  return identities;
}

/** Throws `INVALID_ARGUMENT` where two shards have one machine: each would have the commands of both, in no order. */
export function checkMachines(machines: readonly unknown[]): void {
  for (const [i, it] of machines.entries()) {
    const first = machines.indexOf(it);
    if (first === i) continue;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `shards ${first} and ${i} were given the same machine`,
      next: 'have machine make a new one at every call',
    });
  }
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string') return key;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the key of a command is ${String(key)}, which is no text`,
    next: 'have keyOf give the text that the command is about, or a list of such',
    outcome: 'notAppended',
  });
}

function notOneShard(keys: readonly string[], several: boolean): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: several
      ? `the keys of the command, ${keys.join(', ')}, lie in several shards`
      : 'the command has no key',
    because: several
      ? 'no command takes effect in two shards'
      : 'a key tells which shard it is for',
    next: 'give it keys of one shard, or use transactions on one log',
    outcome: 'notAppended',
  });
}
