import { randomUUID } from 'node:crypto';
import { VarlogError } from 'varlog/log';
import type { Replica } from 'varlog/smr';
import type { Outcome, TransactionCommand, TransactionMachine } from './transactions.ts';

type TransactionReplica = Replica<TransactionCommand, Outcome, TransactionMachine>;

export interface TransactOptions {
  /** So many conflicts in a row are an error. Default: 100. */
  attemptsMax?: number;
  /** Names the transaction, for `outcome`. Attempt n > 1 is called `ID/n`. Default: a random one. */
  id?: string;
}

/** Multi-key transactions that are as if run one after the other, each at one moment (strict serializability). */
export class TransactionStore {
  private readonly replica: TransactionReplica;

  constructor(replica: TransactionReplica) {
    this.replica = replica;
  }

  /**
   * Runs `body` and commits what it wrote. It may be run several times, so it should have no other
   * effect; all that it reads in one run is of one moment. An error that it throws aborts the
   * transaction. Rejects with `FAILED_PRECONDITION` after too many conflicts, or like `Replica.execute`.
   */
  async transact<T>(
    body: (transaction: Transaction) => Promise<T>,
    options: TransactOptions = {},
  ): Promise<T> {
    const { attemptsMax = 100, id = randomUUID() } = options;
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      // All that anyone was told before this transaction began must be seen by it.
      await this.replica.caughtUp();
      const transaction = new Transaction(this.replica);
      let result: T;
      try {
        result = await body(transaction);
      } catch (error) {
        if (error instanceof Conflict) continue;
        throw error;
      }
      const command = transaction.command(attempt === 1 ? id : `${id}/${attempt}`);
      // What was read is of one moment: without writes there is nothing to decide.
      if (command.writes.length === 0) return result;
      if ((await this.replica.execute(command)).committed) return result;
    }
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `the transaction met a conflict ${attemptsMax} times in a row`,
      because: 'others keep writing what it reads',
      next: 'read fewer keys, or raise attemptsMax',
      outcome: 'notAppended',
    });
  }

  /** What became of a transaction, by its id: for those whose outcome was lost. */
  outcome(id: string): Promise<Outcome | undefined> {
    return this.replica.query((machine) => machine.outcome(id));
  }
}

/** One run of a transaction's body. */
export class Transaction {
  private readonly replica: TransactionReplica;
  private readonly reads = new Map<string, number>();
  private readonly writes = new Map<string, string | null>();

  constructor(replica: TransactionReplica) {
    this.replica = replica;
  }

  /** The value of a key, as this transaction wrote it, or as it was before. */
  async get(key: string): Promise<string | undefined> {
    const written = this.writes.get(key);
    if (written !== undefined) return written ?? undefined;
    const { machine } = this.replica;
    // A body must not see two moments at once, even in a run that is going to be repeated.
    if (machine.conflict(this.reads) !== undefined) throw new Conflict();
    const found = machine.get(key);
    this.reads.set(key, found?.version ?? 0);
    return found?.value;
  }

  put(key: string, value: string): void {
    this.writes.set(key, value);
  }

  delete(key: string): void {
    this.writes.set(key, null);
  }

  command(id: string): TransactionCommand {
    return { id, reads: [...this.reads], writes: [...this.writes] };
  }
}

class Conflict extends Error {
  constructor() {
    super('what this transaction has read was changed: let this error pass, and it runs again');
  }
}
