import { type LogCallOptions, VarlogError } from '../../base/index.ts';
import type { Replica } from '../replica.ts';
import type {
  TransactionCommand,
  TransactionCommit,
  TransactionItem,
  TransactionMachine,
  TransactionOutcome,
  TransactionView,
} from './transaction-machine.ts';

/** So many snapshots are kept for transactions that read. One costs what was written since. */
const SNAPSHOTS_MAX = 1_000;

/** A replica of a {@link TransactionMachine}. */
export type TransactionReplica = Replica<
  TransactionCommand,
  TransactionOutcome,
  TransactionMachine
>;

/** What a transaction begins with. */
export interface BegunTransaction {
  /** The position of the snapshot that it reads. */
  readonly at: number;
  /** What became of it, where it was run before. */
  readonly known?: TransactionOutcome;
}

/** What transactions are run on: a replica in this process, or one at the other end of a connection. */
export interface TransactionService {
  /** Begins an attempt of transaction `id`, with all that anyone was told before this call. */
  begin(id: string, options?: LogCallOptions): Promise<BegunTransaction>;
  /**
   * A key as it was at a position that `begin` gave. Rejects with `FAILED_PRECONDITION` where that snapshot is not kept any
   * more, or not here.
   */
  read(key: string, at: number, options?: LogCallOptions): Promise<TransactionItem | undefined>;
  /** Decides on an attempt. Rejects like `Replica.execute`. */
  commit(
    attempt: Omit<TransactionCommit, 'op'>,
    options?: LogCallOptions,
  ): Promise<TransactionOutcome>;
  /** What became of a transaction; one that is not known never takes effect from then on. */
  settle(id: string, since: number, options?: LogCallOptions): Promise<TransactionOutcome>;
}

/** Transactions on a replica in this process. A server gives this to its clients. */
export class ReplicaTransactions implements TransactionService {
  private readonly replica: TransactionReplica;
  /** By position, the oldest first. */
  private readonly views = new Map<number, TransactionView>();

  constructor(replica: TransactionReplica) {
    this.replica = replica;
  }

  async begin(id: string, options: LogCallOptions = {}): Promise<BegunTransaction> {
    await this.replica.caughtUp(options);
    const { machine } = this.replica;
    const view = machine.view();
    const known = machine.known(id);
    this.views.delete(view.position);
    this.views.set(view.position, view);
    if (this.views.size > SNAPSHOTS_MAX) {
      const [oldest] = this.views.keys();
      this.views.delete(oldest!);
    }
    return { at: view.position, ...(known && { known }) };
  }

  async read(key: string, at: number): Promise<TransactionItem | undefined> {
    const view = this.views.get(at);
    if (view !== undefined) return view.items.get(key);
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `the snapshot at position ${at} is not kept here`,
      because: `a replica keeps the ${SNAPSHOTS_MAX} that were begun last, and others do not have them`,
      next: 'begin the transaction anew, and read and commit sooner',
      outcome: 'notAppended',
    });
  }

  commit(
    attempt: Omit<TransactionCommit, 'op'>,
    options: LogCallOptions = {},
  ): Promise<TransactionOutcome> {
    return this.replica.execute({ ...attempt, op: 'commit' }, options);
  }

  settle(id: string, since: number, options: LogCallOptions = {}): Promise<TransactionOutcome> {
    return this.replica.execute({ op: 'settle', id, since }, options);
  }
}
