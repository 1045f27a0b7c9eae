import { type LogCallOptions, reasonOf, VarlogError } from '../../base/index.ts';
import type { TransactionConflict, TransactionOutcome } from './transaction-machine.ts';
import type { TransactionService } from './transaction-service.ts';

const ID_LENGTH_MAX = 256;

/** Which attempt of which transaction it is. */
export interface TransactionAttempt {
  readonly id: string;
  readonly attempt: number;
  /** The position of its snapshot. */
  readonly at: number;
  /** A position from before the first attempt. */
  readonly since: number;
  /** What is known of it already. */
  readonly known?: TransactionOutcome | undefined;
}

/** One attempt of a transaction: it reads a snapshot, gathers what it writes, and is committed as a whole or not at all. */
export class Transaction {
  readonly id: string;
  /** The position of the snapshot that it reads. */
  readonly at: number;
  /** A position from before the transaction: with `id`, what asks for its outcome. */
  readonly since: number;
  private readonly attempt: number;
  private readonly known: TransactionOutcome | undefined;
  private readonly service: TransactionService;
  private readonly limits: LogCallOptions;
  private readonly reads = new Map<string, number>();
  private readonly writes = new Map<string, string | null>();

  constructor(service: TransactionService, attempt: TransactionAttempt, limits: LogCallOptions) {
    this.service = service;
    this.limits = limits;
    this.id = attempt.id;
    this.at = attempt.at;
    this.since = checkedSince(attempt.since);
    this.attempt = attempt.attempt;
    this.known = attempt.known;
  }

  /** Whether it was committed before, under its id: then it is not run again, and `commit` resolves as it did. */
  get isCommitted(): boolean {
    return this.known?.state === 'committed';
  }

  /** The value of a key, as this transaction wrote it, or as it was at its snapshot. */
  async get(key: string): Promise<string | undefined> {
    checkText('key', key);
    const written = this.writes.get(key);
    if (written !== undefined) return written ?? undefined;
    const found = await this.service.read(key, this.at, this.limits);
    this.reads.set(key, found?.version ?? 0);
    return found?.value;
  }

  put(key: string, value: string): void {
    checkText('key', key);
    checkText('value', value);
    this.writes.set(key, value);
  }

  delete(key: string): void {
    checkText('key', key);
    this.writes.set(key, null);
  }

  /**
   * Commits all that was written, if nobody has changed what was read. `result` is for those who repeat the transaction
   * under its id; it must survive JSON. One that wrote nothing is committed at its snapshot, and leaves nothing in the log.
   *
   * Rejects with `CONDITION_FAILED` where it certainly never takes effect (`details.conflict`: the key, who changed it, and
   * at which position), with `OUTCOME_FORGOTTEN` where its id is from a time of which nothing is kept, and like
   * `Replica.execute`: with the outcome `unknown`, `outcome(id, { since })` of the store tells what became of it.
   */
  async commit(result?: unknown): Promise<{ readonly position: number; readonly result?: string }> {
    if (this.known?.state === 'committed') return this.known;
    const encoded = encode(result);
    if (this.writes.size === 0) return { position: this.at, ...encoded };
    const outcome = await this.service.commit(
      {
        id: this.id,
        attempt: this.attempt,
        since: this.since,
        reads: [...this.reads],
        writes: [...this.writes],
        ...encoded,
      },
      this.limits,
    );
    if (outcome.state === 'committed') return outcome;
    throw failureOf(this.id, outcome);
  }
}

/** Why a transaction did not take effect, as an error. */
function failureOf(
  id: string,
  outcome: Exclude<TransactionOutcome, { state: 'committed' }>,
): VarlogError {
  if (outcome.state === 'forgotten') return forgotten(id, outcome.through);
  const { position } = outcome;
  if (outcome.state === 'refused') {
    return new VarlogError('CONDITION_FAILED', {
      what: `transaction ${id} never takes effect`,
      because: `its outcome was asked for before it came, at position ${position}`,
      next: 'run it under another id, if it is still wanted',
      outcome: 'notAppended',
      details: { id, position },
    });
  }
  const { attempt, conflict } = outcome;
  return new VarlogError('CONDITION_FAILED', {
    what: `transaction ${id} was not carried out: ${changeOf(conflict)} after it had been read`,
    next: 'begin it anew, and decide by what is there now; transact() of the store does so',
    outcome: 'notAppended',
    details: { id, position, attempt, conflict },
  });
}

/** The error for a transaction that may have been decided so long ago that nobody knows. */
export function forgotten(id: string, through: number): VarlogError {
  return new VarlogError('OUTCOME_FORGOTTEN', {
    what: `what became of transaction ${id} cannot be told`,
    because: `outcomes up to position ${through} are not kept any more`,
    next: 'see by what it wrote whether it took effect; ask sooner, and give `since` with the id',
    outcome: 'unknown',
    details: { id, through },
  });
}

function changeOf({ key, position, by }: TransactionConflict): string {
  return position === undefined
    ? `"${key}" was changed`
    : `"${key}" was changed by transaction ${by}, at position ${position},`;
}

/** What is no text would stop every replica. Throws `INVALID_ARGUMENT`. */
function checkText(what: string, given: unknown): void {
  if (typeof given === 'string') return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the ${what} of a transaction is a ${given === null ? 'null' : typeof given}`,
    next: 'give a text, as String() or JSON.stringify() make it',
    outcome: 'notAppended',
  });
}

/** Throws `INVALID_ARGUMENT`. */
export function checkedSince(since: number): number {
  if (Number.isSafeInteger(since) && since >= 0) return since;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `since is ${since}`,
    next: 'give a position from before the transaction, as `transaction.since` has it',
    outcome: 'notAppended',
  });
}

/** Throws `INVALID_ARGUMENT`. */
export function checkedId(id: string): string {
  checkText('id', id);
  if (id.length > 0 && id.length <= ID_LENGTH_MAX) return id;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the id of a transaction has ${id.length} characters`,
    next: `give 1 to ${ID_LENGTH_MAX}, or none where it is not repeated`,
    outcome: 'notAppended',
  });
}

function encode(result: unknown): { result?: string } {
  try {
    const text = JSON.stringify(result);
    return text === undefined ? {} : { result: text };
  } catch (cause) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'the result of a transaction does not survive JSON',
      because: reasonOf(cause),
      next: 'return plain values',
      outcome: 'notAppended',
      cause,
    });
  }
}
