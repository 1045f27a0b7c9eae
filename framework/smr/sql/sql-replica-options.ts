import type { DataSource } from 'typeorm';
import type { OrderedLog } from '../../base/index.ts';
import type { AdmissionLimits } from '../admission.ts';
import type { ReplicaCodecs } from '../codecs.ts';
import type { SqlStateMachine } from './sql-state-machine.ts';

export interface SqlReplicaOptions<Command, Result> extends AdmissionLimits {
  machine: SqlStateMachine<Command, Result>;
  /**
   * Where the state lies: better-sqlite3 or Postgres, for this replica alone. Its `migrations` hold
   * `sqlReplicaMigrations`; `synchronize` is off. It is initialized and migrated where it is not yet,
   * and left open. A topic is kept from being trimmed above what lies in it, also while the replica is closed: when the
   * database is gone for good, release its hold (`varlog topic release`).
   */
  dataSource: DataSource;
  /** A second way to the same database, for queries. Without it they wait for their turn between batches. */
  reader?: DataSource;
  log: OrderedLog;
  /**
   * Whether the log is trimmed behind what lies in the database, as far as nobody holds it. Only for logs of which nobody
   * else needs the beginning: readers and replicas that hold nothing lose it. Default: no.
   */
  trimLog?: boolean;
  /** The machine's name: a database serves one machine on one log, and is refused to any other. Default: `machine`. */
  name?: string;
  codec?: Pick<ReplicaCodecs<Command, Result, never>, 'command' | 'result' | 'change'>;
  /** So many commands share one transaction at most. Default: 200. */
  batchMax?: number;
  /** A command that failed so often stops the replica. Default: 10, in about five seconds. */
  attemptsMax?: number;
  /**
   * A replica that holds the database and does not answer for so long, because its process died or
   * hangs, loses it to one that is started. Default: 2,000.
   */
  takeOverMs?: number;
  /**
   * Only follows: it applies and answers queries, needs no right to write, and `execute` and `upgradeTo` reject with `FAILED_PRECONDITION`. It
   * has no part in bringing the log's time forward, or in what the log keeps, so it may find the
   * head of the log gone. Default: no.
   */
  readOnly?: boolean;
  /** How long a call that names no limit may take, in milliseconds. Default: 30,000. */
  callTimeoutMs?: number;
  /** Bytes of commands that may wait. Default: 16 MiB. */
  queueBytesMax?: number;
  /** Bytes of emitted changes that are kept for readers. Each of them, and each position, counts 128 beside. Default: 16 MiB. */
  changesBytesMax?: number;
}
