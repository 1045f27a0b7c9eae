import { reasonOf, VarlogError } from 'varlog/log';
import type { Replica } from 'varlog/smr';
import type {
  CommittedOutcome,
  Outcome,
  TransactionCommand,
  TransactionMachine,
} from './transactions.ts';

type TransactionReplica = Replica<TransactionCommand, Outcome, TransactionMachine>;

export interface TransactOptions {
  /** So many conflicts in a row are an error. Default: 100. */
  attemptsMax?: number;
  /**
   * Names the transaction: however often and wherever it is run under this name within a day, it takes effect once, and
   * each run gets what that one returned, which must survive JSON.
   */
  id?: string;
  /** No step of it takes longer. Default: 10,000. */
  timeoutMs?: number;
}

const STEP_MS = 10_000;

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
    const { attemptsMax = 100, id, timeoutMs = STEP_MS } = options;
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      // All that anyone was told before this transaction began must be seen by it.
      await this.replica.caughtUp({ timeoutMs });
      const before = id === undefined ? undefined : this.replica.machine.outcome(id);
      if (before !== undefined) return decoded(before);
      const transaction = new Transaction(this.replica);
      let result: T;
      try {
        result = await body(transaction);
      } catch (error) {
        if (error instanceof Conflict) continue;
        throw error;
      }
      const command = transaction.command();
      // What was read is of one moment: without writes there is nothing to decide.
      if (command.writes.length === 0) return result;
      if (id === undefined) {
        if ((await this.replica.execute(command, { timeoutMs })).committed) return result;
        continue;
      }
      const named = { ...command, id, ...encoded(result) };
      const outcome = await this.replica.execute(named, { timeoutMs });
      if (outcome.committed) return decoded(outcome);
    }
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `the transaction met a conflict ${attemptsMax} times in a row`,
      because: 'others keep writing what it reads',
      next: 'read fewer keys, or raise attemptsMax',
      outcome: 'notAppended',
    });
  }

  /** How a transaction was committed, by its id: for those whose outcome was lost. `undefined`: it was not, so far. */
  outcome(id: string): Promise<CommittedOutcome | undefined> {
    return this.replica.query((machine) => machine.outcome(id), { timeoutMs: STEP_MS });
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

  command(): TransactionCommand {
    return { reads: [...this.reads], writes: [...this.writes] };
  }
}

class Conflict extends Error {
  constructor() {
    super('what this transaction has read was changed: let this error pass, and it runs again');
  }
}

function encoded(result: unknown): { result?: string } {
  try {
    const text = JSON.stringify(result);
    return text === undefined ? {} : { result: text };
  } catch (cause) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'what the body of a transaction with an id returned does not survive JSON',
      because: reasonOf(cause),
      next: 'return plain values, or leave the id away',
      outcome: 'notAppended',
    });
  }
}

function decoded<T>({ result }: CommittedOutcome): T {
  return (result === undefined ? undefined : JSON.parse(result)) as T;
}
