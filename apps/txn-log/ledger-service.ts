import { BehaviorSubject, firstValueFrom, type Observable, switchMap } from 'rxjs';
import type { EntityManager } from 'typeorm';
import { VarlogError } from 'varlog/log';
import type { ReplicaStatus } from 'varlog/smr';
import { writtenAmount } from './amount.ts';
import { type Audit, audit } from './audit.ts';
import type { Leg } from './book.ts';
import { type Currency, NO_CURRENCY } from './currency.ts';
import {
  type Account,
  AccountEntity,
  CurrencyEntity,
  type Posting,
  PostingEntity,
  type Transfer,
  TransferEntity,
} from './entities.ts';
import { accountsIn, postingsOf } from './exact-rows.ts';
import type { Generation } from './generation.ts';
import { LEDGER_RULES, type LedgerCommand, problemOf } from './ledger-command.ts';
import type { LedgerResult } from './ledger-machine.ts';
import { type Statement, type StatementQuestion, statementOf } from './statement.ts';

export interface ReadOptions {
  /** Answer from what this replica has, without asking the others. */
  stale?: boolean | undefined;
  /** Answer once this replica has applied this position: that of a result, to see it at whichever replica. */
  atLeast?: number | undefined;
}

export interface TransferRequest {
  /** The idempotency key: the same one takes effect once, however often and wherever it is sent. */
  id: string;
  legs: Leg[];
  description?: string;
}

/** A transfer with its postings; of a refused one there are none. */
export type TransferEntry = Omit<Transfer, 'request'> & { postings: Omit<Posting, 'transferId'>[] };

/** Calls are done within this time by default. */
export const CALL_MS = 10_000;
const READY_MS = 2_000;
/** A page of history has at most so many transfers. */
const PAGE = 1_000;

/** The ledger as its HTTP server sees it. */
export class LedgerService {
  /** How the replica that serves fares. */
  readonly status$: Observable<ReplicaStatus>;
  private readonly serving: BehaviorSubject<Generation>;
  /** Calls under way, by the generation that answers them. */
  private readonly calls = new Map<Generation, Set<Promise<unknown>>>();
  private readonly timeoutMs: number;

  /** No call takes longer than `timeoutMs`: then it rejects with `TIMEOUT`. */
  constructor(generation: Generation, timeoutMs: number = CALL_MS) {
    this.serving = new BehaviorSubject(generation);
    this.status$ = this.serving.pipe(switchMap((it) => it.replica.status$));
    this.timeoutMs = timeoutMs;
  }

  /** The one that serves. */
  get generation(): Generation {
    return this.serving.value;
  }

  /** Serves from another database from now on, and lets the one before go when what it was asked is answered. */
  async replace(next: Generation): Promise<void> {
    const before = this.serving.value;
    this.serving.next(next);
    await Promise.allSettled(this.calls.get(before) ?? []);
    await before.close();
  }

  /** Resolves when all that was acknowledged before is applied here. */
  caughtUp(options: { timeoutMs: number }): Promise<void> {
    return this.within(({ replica }) => replica.caughtUp(options));
  }

  /** Closes what serves. */
  close(): Promise<void> {
    return this.serving.value.close();
  }

  /** Defines a currency, once and for all: `exponent` is 2 where 100 minor units are one. Rejects with `INVALID_ARGUMENT`. */
  define({ code, exponent }: Currency): Promise<LedgerResult> {
    return this.execute({ op: 'currency', code, exponent });
  }

  currencies(options?: ReadOptions): Promise<Currency[]> {
    return this.read((it) => it.find(CurrencyEntity, { order: { code: 'ASC' } }), options);
  }

  /**
   * Opens an account; `overdraftLimit` in minor units, `null` for none; `currency`: one that is defined. Rejects with
   * `INVALID_ARGUMENT`, and with `FAILED_PRECONDITION` for a limit that the rules in force do not know.
   */
  open(
    account: string,
    overdraftLimit: bigint | null = 0n,
    currency: string = NO_CURRENCY,
  ): Promise<LedgerResult> {
    const limit = overdraftLimit === null ? null : writtenAmount(overdraftLimit);
    return this.execute({ op: 'open', account, overdraftLimit: limit, currency });
  }

  /**
   * Moves money. What cannot be done is a result that says why. Rejects with `INVALID_ARGUMENT`, and with `FAILED_PRECONDITION`
   * for an amount that the rules in force do not know.
   */
  transfer({ id, legs: given, description = '' }: TransferRequest): Promise<LedgerResult> {
    // Only what belongs to a command goes into the log.
    const legs = given.map(({ account, amount }) => ({ account, amount: writtenAmount(amount) }));
    return this.execute({ op: 'transfer', id, legs, description });
  }

  account(id: string, options?: ReadOptions): Promise<Account | undefined> {
    return this.read(async (manager) => (await accountsIn(manager, [id]))[0], options);
  }

  accounts(options?: ReadOptions): Promise<Account[]> {
    return this.read((manager) => accountsIn(manager), options);
  }

  /** What came of an account in a stretch of time, a page at a time; `undefined` where there is no such account. */
  statement(question: StatementQuestion, options?: ReadOptions): Promise<Statement | undefined> {
    return this.read((manager) => statementOf(manager, question), options);
  }

  /** The newest transfers first; of one account, or (also refused ones) of all. */
  transfers(account?: string, options?: ReadOptions): Promise<TransferEntry[]> {
    return this.read(async (manager) => {
      const query = manager.createQueryBuilder(TransferEntity, 'transfer');
      if (account !== undefined) {
        const of = query.subQuery().select('posting.transferId').from(PostingEntity, 'posting');
        query.where(`transfer.id IN ${of.where('posting.accountId = :account').getQuery()}`, {
          account,
        });
      }
      const found = await query.orderBy('transfer.position', 'DESC').limit(PAGE).getMany();
      return withPostings(manager, found);
    }, options);
  }

  /** Resolves when the database answers. Rejects with why it does not. */
  async databaseAnswers(): Promise<void> {
    await this.read((manager) => manager.count(AccountEntity), { stale: true }, READY_MS);
  }

  audit(options?: ReadOptions): Promise<Audit> {
    return this.read(audit, options);
  }

  /** Rows of one SELECT; see `ReadOnlySql`. */
  async sql(query: string, options: ReadOptions = {}): Promise<unknown[]> {
    return this.within(async (it) => {
      await this.look(it, async () => {}, options);
      return it.sql.ask(query);
    });
  }

  private async execute(command: LedgerCommand): Promise<LedgerResult> {
    const problem = problemOf(command, LEDGER_RULES);
    if (problem !== undefined)
      throw new VarlogError('INVALID_ARGUMENT', { ...problem, outcome: 'notAppended' });
    return this.within(async (it) => {
      await this.checkRules(it, command);
      return it.replica.execute(command, { timeoutMs: this.timeoutMs });
    });
  }

  /** Rules are raised only: what those in force here know, is known wherever the command takes effect. */
  private async checkRules({ replica }: Generation, command: LedgerCommand): Promise<void> {
    const { rules } = await firstValueFrom(replica.status$);
    if (problemOf(command, rules) === undefined) return;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `amounts from 2^53 on need rules ${LEDGER_RULES} of the ledger, and at this replica rules ${rules} are in force`,
      because: 'older versions of it do not know them',
      next: `when all replicas have this version, raise them: varlog upgrade TOPIC ${LEDGER_RULES} --name ledger; where that was done, try again`,
      outcome: 'notAppended',
    });
  }

  private async within<T>(call: (generation: Generation) => Promise<T>): Promise<T> {
    const generation = this.serving.value;
    const calls = this.calls.get(generation) ?? new Set();
    this.calls.set(generation, calls);
    const answer = call(generation);
    calls.add(answer);
    try {
      return await answer;
    } finally {
      calls.delete(answer);
      if (calls.size === 0) this.calls.delete(generation);
    }
  }

  private read<T>(
    look: (manager: EntityManager) => Promise<T>,
    options?: ReadOptions,
    timeoutMs?: number,
  ): Promise<T> {
    return this.within((it) => this.look(it, look, options, timeoutMs));
  }

  private async look<T>(
    { replica }: Generation,
    look: (manager: EntityManager) => Promise<T>,
    { stale = false, atLeast }: ReadOptions = {},
    timeoutMs: number = this.timeoutMs,
  ): Promise<T> {
    const fresh = atLeast === undefined ? 'linearizable' : { atLeast };
    const consistency = stale ? 'stale' : fresh;
    const ended = new AbortController();
    const timer = setTimeout(() => ended.abort(tooLate(timeoutMs)), timeoutMs);
    const { signal } = ended;
    try {
      const answer = replica.query(look, { consistency, signal });
      // The database takes no signal: whoever waits for it is let go.
      const late = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function withPostings(
  manager: EntityManager,
  transfers: readonly Transfer[],
): Promise<TransferEntry[]> {
  const postings = await postingsOf(
    manager,
    transfers.map(({ id }) => id),
  );
  const byTransfer = new Map<string, Posting[]>(transfers.map(({ id }) => [id, []]));
  for (const posting of postings) byTransfer.get(posting.transferId)?.push(posting);
  return transfers.map(({ id, position, time, description, refusal }) => ({
    id,
    position,
    time,
    description,
    refusal,
    postings: (byTransfer.get(id) ?? []).map(({ leg, accountId, amount, balance }) => ({
      leg,
      accountId,
      amount,
      balance,
    })),
  }));
}

function tooLate(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the ledger did not answer within ${timeoutMs} ms`,
    because: 'its log has no quorum, its database does not answer, or this replica is far behind',
    next: 'try again, or read with stale=1 what this replica has',
  });
}
