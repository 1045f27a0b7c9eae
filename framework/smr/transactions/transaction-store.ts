import {
  checkFunctions,
  checkLimits,
  checkNames,
  checkNumber,
  LIMIT_NAMES,
  type LogCallOptions,
  type OptionNames,
  type Random,
  VarlogError,
} from '../../base/index.ts';
import { checkedId, checkedSince, forgotten, Transaction } from './transaction.ts';
import type { TransactionOutcome } from './transaction-machine.ts';
import type { TransactionService } from './transaction-service.ts';

const ATTEMPTS_MAX = 100;

/** How a transaction is named. */
export interface TransactionName extends LogCallOptions {
  /**
   * However often and wherever the transaction is run under this id, it takes effect once, and each run gets what that one
   * returned: for a day of the log's time, in 64 MiB. 1 to 256 characters. Default: one of its own.
   */
  readonly id?: string;
  /**
   * A position from before the id was first used: then it is refused (`OUTCOME_FORGOTTEN`), instead of run again, where its
   * outcome may be forgotten. Default: the position at which this run begins.
   */
  readonly since?: number | undefined;
}

export interface TransactOptions extends TransactionName {
  /** So many conflicts in a row are an error. Default: 100. */
  readonly attemptsMax?: number;
  /** Waits before another attempt; `conflicts` is 1, 2, 3, … Default: it does not wait. */
  readonly backoff?: (conflicts: number) => Promise<void>;
}

const NAMES: OptionNames<TransactionName> = { id: true, since: true, ...LIMIT_NAMES };
const TRANSACT_NAMES: OptionNames<TransactOptions> = {
  attemptsMax: true,
  backoff: true,
  ...NAMES,
};
const OUTCOME_NAMES = { since: true, ...LIMIT_NAMES };

/** Multi-key transactions that are as if run one after the other, each at one moment (strict serializability). */
export class TransactionStore {
  private readonly service: TransactionService;
  private readonly random: Pick<Random, 'id'>;

  /** `random` makes ids. */
  constructor(service: TransactionService, random: Pick<Random, 'id'>) {
    this.service = service;
    this.random = random;
  }

  /** Begins a transaction, which reads all that anyone was told by now, and is to be committed by its caller. */
  async begin(options: TransactionName = {}): Promise<Transaction> {
    checkNames(options, NAMES, 'a transaction');
    const { id = this.random.id(), since, ...limits } = options;
    if (since !== undefined) checkedSince(since);
    checkLimits(limits);
    const { at, known } = await this.service.begin(checkedId(id), limits);
    const attempt = known?.state === 'aborted' ? known.attempt + 1 : 1;
    return new Transaction(this.service, { id, attempt, at, since: since ?? at, known }, limits);
  }

  /**
   * Runs `body` and commits what it wrote; after a conflict, again. So `body` should have no other effect. All that it reads
   * in one run is of one moment. An error that it throws aborts the transaction. Resolves with what it returned; under an id
   * that was committed before, with what it returned then. Rejects with `FAILED_PRECONDITION` after too many conflicts, and
   * like `Transaction.commit`; where the outcome is not known, `details` have the `id` and `since` to ask for it.
   */
  async transact<T>(
    body: (transaction: Transaction) => Promise<T>,
    options: TransactOptions = {},
  ): Promise<T> {
    checkNames(options, TRANSACT_NAMES, 'transact');
    const { attemptsMax = ATTEMPTS_MAX, backoff, ...name } = options;
    checkFunctions({ body, ...(backoff !== undefined && { backoff }) });
    checkNumber(attemptsMax, 'attemptsMax', 1);
    const { id = this.random.id(), since } = name;
    if (since !== undefined) checkedSince(since);
    let begun: number | undefined;
    for (let conflicts = 0; conflicts < attemptsMax; conflicts++) {
      if (conflicts > 0) await backoff?.(conflicts);
      const transaction = await this.begin({ ...name, id, since: since ?? begun });
      begun ??= transaction.at;
      try {
        const result = transaction.isCommitted ? undefined : await body(transaction);
        return decode((await transaction.commit(result)).result) as T;
      } catch (error) {
        if (!isConflict(error, id)) throw named(error, transaction);
      }
    }
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `the transaction met a conflict ${attemptsMax} times in a row`,
      because: 'others keep writing what it reads',
      next: 'read fewer keys, give a `backoff`, or raise `attemptsMax`',
      outcome: 'notAppended',
      details: { id },
    });
  }

  /**
   * What became of a transaction, for those whose answer was lost: committed or aborted; or refused, where it has not come:
   * then it never takes effect. Give the `since` of the transaction: without it nothing can be told (`OUTCOME_FORGOTTEN`) of
   * an unknown one once anything was forgotten. Rejects like `Replica.execute` too; it may be repeated.
   */
  async outcome(
    id: string,
    options: LogCallOptions & { since?: number } = {},
  ): Promise<Exclude<TransactionOutcome, { state: 'forgotten' }>> {
    checkNames(options, OUTCOME_NAMES, 'outcome');
    const { since = 0, ...limits } = options;
    checkLimits(limits);
    const outcome = await this.service.settle(checkedId(id), checkedSince(since), limits);
    if (outcome.state === 'forgotten') throw forgotten(id, outcome.through);
    return outcome;
  }
}

/** Not one of another transaction, which the body may have run. */
function isConflict(error: unknown, id: string): boolean {
  return (
    VarlogError.is(error, 'CONDITION_FAILED') &&
    error.details['id'] === id &&
    'conflict' in error.details
  );
}

/** An error of which the outcome is unknown, with what asks for it. */
function named(error: unknown, { id, since }: Transaction): unknown {
  if (!VarlogError.is(error) || error.outcome !== 'unknown' || 'id' in error.details) return error;
  return new VarlogError(error.code, {
    what: `transaction ${id} may have taken effect`,
    because: error.message,
    next: `ask for outcome('${id}', { since: ${since} }), or run it again under its id`,
    outcome: 'unknown',
    details: { ...error.details, id, since },
    cause: error,
  });
}

function decode(result: string | undefined): unknown {
  return result === undefined ? undefined : JSON.parse(result);
}
