/**
 * Turns a plain class into a replicated service, on any `OrderedLog`.
 *
 * ```ts
 * class Counter implements StateMachine<{ add: number }, number, number> {
 *   value = 0;
 *   apply({ add }: { add: number }) { return (this.value += add); }
 *   snapshot() { return this.value; }
 *   restore(value: number) { this.value = value; }
 * }
 * const counter = await startReplica({ machine: new Counter(), log });
 * await counter.execute({ add: 1 });
 * await counter.query((it) => it.value);
 * await counter.close();
 * ```
 *
 * A machine whose state lies in a SQL database starts with `startSqlReplica` of `varlog/smr/sql`, which needs
 * `typeorm` and a driver; nothing here does.
 *
 * It does not keep commands: the log does.
 */
import {
  checkFunctions,
  checkNames,
  checkText,
  type OrderedLog,
  type OrderedLogSource,
  type Ports,
  VarlogError,
} from '../base/index.ts';
import { RealDisk, realClock, realRandom } from '../runtime/index.ts';
import { checkCodecs } from './codecs.ts';
import { DiskObjectStore } from './disk-object-store.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { type ForkOptions, openFork } from './fork.ts';
import {
  checkFirstState,
  checkLog,
  checkMachine,
  checkNoClass,
  checkStore,
} from './machine-checks.ts';
import type { MachineDefinition } from './machine-definition.ts';
import {
  FORK_NAMES,
  REPLAY_NAMES,
  REPLICA_NAMES,
  SHADOW_NAMES,
  SHARDS_NAMES,
  WHY_NAMES,
} from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { checkOptions, type PlainOptions } from './option-checks.ts';
import { ReadOnlyLog } from './read-only-log.ts';
import { type EffectHandler, type EffectOptions, EffectRunner } from './recipes/effect-runner.ts';
import { Election, type ElectionOptions } from './recipes/election.ts';
import { type ReplayOptions, type ReplayVerdict, runReplay } from './replay.ts';
import { endOf, type ReplayRange } from './replayed-machine.ts';
import { Replica } from './replica.ts';
import type { ReplicaOptions } from './replica-options.ts';
import { Shadow, type ShadowOptions } from './shadow.ts';
import { ShardOrder } from './shard-plan.ts';
import { checkMachines, identitiesOf, type ShardOptions, Shards, shardName } from './shards.ts';
import { SharedSnapshotStore } from './shared-snapshot-store.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import {
  ReplicaTransactions,
  type TransactionReplica,
  type TransactionService,
} from './transactions/transaction-service.ts';
import { TransactionStore } from './transactions/transaction-store.ts';
import { type Cause, causesOf } from './why.ts';

/** How long the logs of shards may take to answer at the start, where no limit is given. */
const START_MS = 30_000;

export type { LogCallOptions } from '../base/index.ts';
export type { AdmissionLimits } from './admission.ts';
export type { ChangeEvent, ChangesOptions } from './change-history.ts';
export { bytesCodec, jsonCodec, type ReplicaCodecs, type VersionedCodec } from './codecs.ts';
export type { ExecuteOptions } from './execute-options.ts';
export type { Difference } from './first-difference.ts';
export type { ForkOptions } from './fork.ts';
export type { LogTrimmed } from './log-trim.ts';
export type { MachineDefinition } from './machine-definition.ts';
export { isMachineInLog } from './machine-in-log.ts';
export type { PairOptions, ReplayDifference } from './machine-pair.ts';
export type { ObjectStore } from './object-store.ts';
export { inPieces, type PieceOf, Pieces } from './pieces.ts';
export type {
  EffectFailure,
  EffectHandler,
  EffectOptions,
  EffectRunner,
} from './recipes/effect-runner.ts';
export type {
  Election,
  ElectionOptions,
  ElectionReplica,
  Leadership,
} from './recipes/election.ts';
export { type Lease, LeaseTable, type LeaseTableState } from './recipes/lease-table.ts';
export {
  type Lock,
  type LockCommand,
  type LockResult,
  LockTable,
  type LockTableState,
} from './recipes/lock-table.ts';
export { Outbox, type OutboxState, type PendingEffect } from './recipes/outbox.ts';
export type { ReplayOptions, ReplayVerdict } from './replay.ts';
export type { Replica } from './replica.ts';
export { REPLICA_FIGURES, type ReplicaFigure } from './replica-figures.ts';
export type { Applied, Consistency, ReplicaOptions } from './replica-options.ts';
export type { ReplicaStatus } from './replica-status.ts';
export type { RequestLimits } from './request-table.ts';
export type { SessionLimits } from './session-table.ts';
export type { Shadow, ShadowOptions, ShadowStatus } from './shadow.ts';
export type { ShardChangeEvent, ShardChangesOptions } from './shard-changes.ts';
export type { ShardsHealth, ShardTrouble } from './shard-health.ts';
export { type ShardOptions, Shards, shardOf } from './shards.ts';
export { skipCommand } from './skip-command.ts';
export type { SnapshotSchedule } from './snapshot-schedule.ts';
export type { SnapshotLock, SnapshotStore, StoredSnapshot } from './snapshot-store.ts';
export type {
  Settled,
  SpeculateOptions,
  Speculation,
  SpeculationEvent,
} from './speculation.ts';
export type { ApplyContext, StateMachine } from './state-machine.ts';
export type { TimerLimits, TimersStatus } from './timer-table.ts';
export type { RememberedLimits } from './transactions/remembered.ts';
export type { Transaction } from './transactions/transaction.ts';
export {
  type TransactionCommand,
  type TransactionCommit,
  type TransactionConflict,
  type TransactionItem,
  TransactionMachine,
  type TransactionOutcome,
  type TransactionRead,
  type TransactionSettle,
  type TransactionState,
  type TransactionView,
  type TransactionWrite,
} from './transactions/transaction-machine.ts';
export {
  type BegunTransaction,
  ReplicaTransactions,
  type TransactionReplica,
  type TransactionService,
} from './transactions/transaction-service.ts';
export type {
  TransactionName,
  TransactionStore,
  TransactOptions,
} from './transactions/transaction-store.ts';
export { upgradeRules } from './upgrade.ts';
export {
  type Downcasters,
  type Upcasters,
  type VersionedJsonOptions,
  versionedJson,
} from './versioned-json.ts';
export { type KeyRange, type MapView, type VersionedKey, VersionedMap } from './versioned-map.ts';
export type { Cause } from './why.ts';

/** A folder of this machine that keeps a replica's newest snapshot: one folder per replica. Throws `INVALID_ARGUMENT` without a path. */
export function snapshotDirectory(path: string): SnapshotStore {
  checkText(path, 'path');
  return new DiskSnapshotStore(new RealDisk(path));
}

/**
 * A store of snapshots that all replicas of a machine share: a new one, or one that has lost its disk, starts from the
 * newest, whoever made it. `name`: of this store, as no other one for the same log has it. Throws `INVALID_ARGUMENT`.
 */
export function sharedSnapshots(objects: ObjectStore, name: string): SnapshotStore {
  return new SharedSnapshotStore(objects, name, realRandom);
}

/** Objects as files in a folder, which may be on a file system that several machines share. Throws `INVALID_ARGUMENT` without a path. */
export function objectDirectory(path: string): ObjectStore {
  checkText(path, 'path');
  return new DiskObjectStore(new RealDisk(path));
}

/**
 * Starts a replica of `machine` on `log`. Resolves when it follows the log, which needs no quorum;
 * `caughtUp()` tells when it is level with it. Without `ports`: this machine's clock and randomness. Rejects with
 * `INVALID_ARGUMENT` for options and machines that make no sense, and with errors of the store of snapshots.
 */
export async function startReplica<Command, Result, Snapshot, Machine>(
  options: Omit<ReplicaOptions<Command, Result, Snapshot, Machine>, 'log'> & {
    /** A Raft group, a Varlog topic, or a log in memory. */
    log: OrderedLog | OrderedLogSource;
    ports?: Pick<Ports, 'clock' | 'random'>;
  },
): Promise<Replica<Command, Result, Machine>> {
  checkNames(options, REPLICA_NAMES, 'startReplica');
  checkReplica(options);
  checkStore(options.snapshots);
  const ports = options.ports ?? realPorts();
  const given = orderedLog(options.log);
  const log = options.readOnly === true ? new ReadOnlyLog(given) : given;
  const replica = new Replica<Command, Result, Machine>(
    { ...options, log } as unknown as ReplicaOptions<Command, Result, unknown, Machine>,
    ports,
  );
  await replica.start();
  return replica;
}

/** Throws `INVALID_ARGUMENT` for what no replica can be made of. */
function checkReplica<Command, Result, Snapshot, Machine>(
  options: PlainOptions &
    Pick<ReplicaOptions<Command, Result, Snapshot, Machine>, 'machine' | 'codec'>,
): void {
  checkOptions(options);
  checkCodecs(options.codec);
  checkMachine(options.machine);
  checkFirstState(options.machine, options.codec);
}

/**
 * Starts one machine over several logs, a replica on each: see {@link Shards}. `logs`: one for each shard, the same ones in the
 * same order at every start and in every process. Resolves when each shard has seen all that its log had, which takes an answer of
 * each, and has the order of the logs written down in all of them, where it is not yet. Rejects with `INVALID_ARGUMENT`; with
 * `FAILED_PRECONDITION` where a log is another shard's, or the number of shards was another: the message says which is whose; with `LOG_MISMATCH` for the snapshots of another one; or with `TIMEOUT`.
 *
 * ```ts
 * const counters = await startShards({
 *   logs: [varlog.topic(1), varlog.topic(2), varlog.topic(3)],
 *   machine: () => new Counters(),
 *   keyOf: (command) => command.counter,
 * });
 * await counters.execute({ counter: 'visits', add: 1 });
 * await counters.query('visits', (it) => it.values.get('visits'));
 * ```
 */
export async function startShards<Command, Result, Snapshot, Machine>(
  options: ShardOptions<Command, Result, Snapshot, Machine> & {
    logs: readonly (OrderedLog | OrderedLogSource)[];
    ports?: Pick<Ports, 'clock' | 'random'>;
  },
): Promise<Shards<Command, Result, Machine>> {
  checkNames(options, SHARDS_NAMES, 'startShards');
  const { logs: given, machine, keyOf, snapshots, name = 'machine', ...others } = options;
  checkOptions(others);
  checkFunctions({ machine, keyOf, ...(snapshots !== undefined && { snapshots }) });
  checkNoClass(machine, 'machine');
  const timeoutMs = others.callTimeoutMs ?? START_MS;
  const logs = (Array.isArray(given) ? given : []).map(orderedLog);
  const identities = await identitiesOf(logs, timeoutMs);
  const plan = { name, logs: identities };
  const order = new ShardOrder(plan, logs, others.ports ?? realPorts(), timeoutMs);
  await order.check();
  const machines = logs.map((_, shard) => machine(shard));
  checkMachines(machines);
  const replicas: Replica<Command, Result, Machine>[] = [];
  try {
    for (const [shard, log] of logs.entries()) {
      const store = snapshots?.(shard);
      replicas.push(
        await startReplica<Command, Result, Snapshot, Machine>({
          ...others,
          log,
          machine: machines[shard]!,
          alone: true,
          name: shardName(name, shard, logs.length),
          ...(store && { snapshots: store }),
        }),
      );
    }
    const shards = new Shards(replicas, keyOf);
    await shards.caughtUp({ timeoutMs });
    // By now nothing on them is known to be of others, and no command was sent yet.
    if (others.readOnly !== true) await order.claim();
    return shards;
  } catch (error) {
    await Promise.allSettled(replicas.map((it) => it.close()));
    // Where others were faster, what they said at first tells more than a command of theirs.
    if (VarlogError.is(error, 'FAILED_PRECONDITION')) await order.check();
    throw error;
  }
}

/** What a replay reads. */
export interface ReplaySource {
  /** Only read. */
  log: OrderedLog | OrderedLogSource;
  /** Begins with the snapshot that is stored there, which is left as it is. Default: with the log's first entry. */
  from?: Pick<SnapshotStore, 'load'>;
  /** Gives up a replay, or the start of a shadow. */
  signal?: AbortSignal;
  ports?: Pick<Ports, 'clock' | 'random'>;
}

/**
 * Replays a log through two versions of a machine, or twice through one, and finds the first position at which they give
 * different results or come to different states, and in which field. Values in shapes of different versions are compared
 * in the newer one. Here and not in `varlog/testing`, because it is run on the logs of production.
 *
 * Rejects with `INVALID_ARGUMENT`; with `NOT_FOUND` where all commands are those of other machines, or all that is stored is behind `to`; with the error of a command
 * that neither version can apply (`APPLY_FAILED`); with `TRIMMED` where the log does not begin at its first entry and no snapshot is given, or begins with one behind `to`; with `BEYOND_TAIL` where it ends before `to`; and with
 * errors of the log.
 */
export async function replay(options: ReplayOptions & ReplaySource): Promise<ReplayVerdict> {
  checkNames(options, REPLAY_NAMES, 'replay');
  return runReplay(options, rangeOf(options));
}

/**
 * Runs a new version of a machine beside the one in use, on what is appended from now on, and compares what they answer and
 * the states that they come to: see {@link Shadow}. The new one takes over the state that the old one has at `forkAt`, so that
 * what it does differently with commands of before does not count. Nothing is written, neither to the log nor to `from`.
 *
 * Resolves when both have the state at `forkAt`; rejects like {@link replay}.
 *
 * ```ts
 * const shadow = await startShadow({ log: topic, against: bank1, machine: bank2 });
 * shadow.status$.subscribe(({ state, position, difference }) => console.log(state, position, difference));
 * ```
 */
export async function startShadow(options: ShadowOptions & ReplaySource): Promise<Shadow> {
  checkNames(options, SHADOW_NAMES, 'startShadow');
  return Shadow.start(options, rangeOf(options));
}

/**
 * Starts a replica that has what a log has up to a position, and goes on by itself from there: to try out on the state of
 * production what nobody else shall see. Its commands lie in memory and are gone when it is closed; nothing is written to the
 * log, nor to `from`. What is appended to the log since is not seen: for that there is {@link startShadow}.
 *
 * Resolves when it has the state at `at`. Rejects with `INVALID_ARGUMENT`; with `BEYOND_TAIL` where the log ends before `at`; with
 * `TRIMMED` where it does not begin at its first entry and no snapshot is given; with `NOT_FOUND` where all that is stored is
 * behind `at`; with what applying fails with; with `signal.reason`; or with errors of the log.
 *
 * ```ts
 * await using fork = await startFork({ machine: new Bank(), log: topic, at: 105 });
 * await fork.execute({ from: 'ada', to: 'bob', amount: 1_000_000 });
 * ```
 */
export async function startFork<Command, Result, Snapshot, Machine>(
  options: ForkOptions<Command, Result, Snapshot, Machine> & {
    /** Only read. */
    log: OrderedLog | OrderedLogSource;
    ports?: Pick<Ports, 'clock' | 'random'>;
  },
): Promise<Replica<Command, Result, Machine>> {
  checkNames(options, FORK_NAMES, 'startFork');
  checkReplica(options);
  const { log, ports = realPorts(), ...others } = options;
  return openFork<Command, Result, Snapshot, Machine>(orderedLog(log), others, ports);
}

/**
 * The entries of a log that made the value under `key`, in order: those after which `inspect(key)` of the machine gives
 * something else. Rejects with `INVALID_ARGUMENT` where the machine has no `inspect`, and like {@link replay}.
 */
export async function* why(
  options: ReplaySource & { machine: MachineDefinition; key: string; to?: number },
): AsyncGenerator<Cause> {
  checkNames(options, WHY_NAMES, 'why');
  const range = rangeOf(options);
  const { machine, key, to } = options;
  yield* causesOf(machine, key, range, await endOf(range, to));
}

function rangeOf({ log, from, signal, ports = realPorts() }: ReplaySource): ReplayRange {
  return { log: orderedLog(log), from, ports, signal };
}

function orderedLog(log: OrderedLog | OrderedLogSource): OrderedLog {
  checkLog(log);
  return 'asOrderedLog' in log ? log.asOrderedLog() : log;
}

function realPorts(): Pick<Ports, 'clock' | 'random'> {
  return { clock: realClock({ background: true }), random: realRandom };
}

/**
 * Makes this process a candidate in an election that the machine of a replica decides: see {@link Election}. Without
 * `ports`: this machine's clock and randomness.
 */
export function electLeader<Command, Result, Machine>(
  options: ElectionOptions<Command, Result, Machine> & { ports?: Pick<Ports, 'clock' | 'random'> },
): Election<Command, Result, Machine> {
  const ports = options.ports ?? { clock: realClock({ background: true }), random: realRandom };
  return new Election(options, ports);
}

/**
 * Does what lies in the outbox of a machine, with `handler`, while this process leads: see {@link EffectRunner}. Without `ports`: this
 * machine's clock and randomness.
 */
export function runEffects<Command, Result, Machine, Effect>(
  options: EffectOptions<Command, Result, Machine, Effect> & {
    ports?: Pick<Ports, 'clock' | 'random'>;
  },
  handler: EffectHandler<Effect>,
): EffectRunner<Command, Result, Machine, Effect> {
  const ports = options.ports ?? { clock: realClock({ background: true }), random: realRandom };
  return new EffectRunner(options, handler, ports);
}

/**
 * Multi-key transactions on a replica of a `TransactionMachine`, or on a service that has one: see {@link TransactionStore}.
 * Without `ports`: this machine's randomness, for the ids of those that have none.
 *
 * ```ts
 * const replica = await startReplica({ machine: new TransactionMachine(), log });
 * const store = transactions(replica);
 * await store.transact(async (transaction) => {
 *   const stock = Number(await transaction.get('stock'));
 *   if (stock > 0) transaction.put('stock', String(stock - 1));
 * });
 * ```
 */
export function transactions(
  on: TransactionReplica | TransactionService,
  options: { ports?: Pick<Ports, 'random'> } = {},
): TransactionStore {
  checkNames(options, { ports: true }, 'transactions');
  const { ports = { random: realRandom } } = options;
  return new TransactionStore('settle' in on ? on : new ReplicaTransactions(on), ports.random);
}
