import type { OrderedLog } from '../base/index.ts';
import type { AdmissionLimits } from './admission.ts';
import type { ReplicaCodecs } from './codecs.ts';
import type { SnapshotSchedule } from './snapshot-schedule.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { StateMachine } from './state-machine.ts';

/**
 * How fresh a query's answer must be. `linearizable`: it sees all that was acknowledged to anyone before. `stale`: whatever is
 * applied here. `atLeast`: everything up to a position, such as the `position` of a replica that has just executed something.
 * `maxStalenessMs`: everything that was acknowledged to anyone so many milliseconds ago, or earlier: the log is asked only
 * where the last that it said is older, and where it does not answer the query waits.
 */
export type Consistency =
  | 'linearizable'
  | 'stale'
  | { readonly atLeast: number }
  | { readonly maxStalenessMs: number };

/** A command that has taken effect. */
export interface Applied<Command, Result> {
  readonly position: number;
  /** How many commands were applied at this position before it: see `ApplyContext`. */
  readonly index: number;
  readonly time: number;
  /** The timer that it comes from; `undefined` for one that somebody executed. */
  readonly timer: number | undefined;
  readonly command: Command;
  readonly result: Result;
}

export interface ReplicaOptions<Command, Result, Snapshot, Machine> extends AdmissionLimits {
  /** A new one, of this replica alone. */
  machine: Machine & StateMachine<Command, Result, Snapshot>;
  log: OrderedLog;
  /**
   * Name of the machine, equal on all its replicas and for ever: its commands and snapshots carry it, and what another
   * machine wrote into the same log is passed over. Default: `machine`.
   */
  name?: string;
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
  /**
   * When snapshots are made: a number of entries, or a schedule by entries, bytes and time. Each at up to a quarter less,
   * drawn each time, so that not all replicas make theirs at once. Default: only when `snapshot()` is called.
   */
  snapshotEvery?: number | SnapshotSchedule;
  /**
   * Commands between checks that the replicas' states are equal: about so often one of them writes an entry with a hash of
   * its state, and each that is given `checkEvery` compares it with its own. Where they differ, each says what it has, for
   * two seconds in which none of them applies anything; who does not have the state of most fails with `STATE_DIVERGED`
   * and serves nothing, so of two replicas both. Costs a `snapshot()` and a walk through it while nothing is applied, on
   * every replica, or a call of the machine's `hash()` where it has one. Default: nothing is written or compared.
   */
  checkEvery?: number;
  /**
   * Where they are kept, for logs without `compact`. A folder is for this replica alone. A topic is kept from being trimmed above the snapshot in it,
   * also while the replica is closed: when it is gone for good, release its hold (`varlog topic release`). A replica
   * without a store starts from the head of the log, and keeps nobody from trimming it.
   */
  snapshots?: SnapshotStore;
  /**
   * Whether the log is trimmed behind each snapshot, as far as nobody holds it: up to the oldest snapshot of all replicas
   * that keep some. Only for logs of which nobody else needs the beginning: readers and replicas that hold nothing lose
   * it. For logs with `trim`; one with `compact` does so by itself. Default: no.
   */
  trimLog?: boolean;
  /**
   * Only follows: it applies and answers queries, needs no right to write, and `execute` and `upgradeTo` reject with `FAILED_PRECONDITION`. It
   * has no part in bringing the log's time forward, in checks of others' states, or in what the log keeps, so it may find the
   * head of the log gone. Snapshots are kept in `snapshots` only. Default: no.
   */
  readOnly?: boolean;
  /**
   * The log is this machine's alone: a command of another one on it stops the replica (`FAILED_PRECONDITION`), before a snapshot
   * could stand for it. Default: what others wrote is passed over, and counted.
   */
  alone?: boolean;
  /** How long a call that names no limit may take, in milliseconds. Default: 30,000. */
  callTimeoutMs?: number;
  /** Bytes of commands that may wait. Default: 16 MiB. */
  queueBytesMax?: number;
  /** Bytes of emitted changes that are kept for readers. Each of them, and each position, counts 128 beside. Default: 16 MiB. */
  changesBytesMax?: number;
  /** Called after each batch and each restored snapshot, before anything else is applied. */
  onApplied?: (batch: { readonly kind: 'entries' | 'snapshot'; readonly position: number }) => void;
}
