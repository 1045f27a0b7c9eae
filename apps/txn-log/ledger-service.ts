import type { EntityManager } from 'typeorm';
import { VarlogError } from 'varlog/log';
import type { SqlReplica } from 'varlog/smr/sql';
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
import { type LedgerCommand, problemOf } from './ledger-command.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { ReadOnlySql } from './read-only-sql.ts';
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
  private readonly replica: SqlReplica<LedgerCommand, LedgerResult>;
  private readonly reader: ReadOnlySql;
  private readonly timeoutMs: number;

  /** No call takes longer than `timeoutMs`: then it rejects with `TIMEOUT`. */
  constructor(
    replica: SqlReplica<LedgerCommand, LedgerResult>,
    reader: ReadOnlySql,
    timeoutMs: number = CALL_MS,
  ) {
    this.replica = replica;
    this.reader = reader;
    this.timeoutMs = timeoutMs;
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
   * `INVALID_ARGUMENT`.
   */
  open(
    account: string,
    overdraftLimit: number | null = 0,
    currency: string = NO_CURRENCY,
  ): Promise<LedgerResult> {
    return this.execute({ op: 'open', account, overdraftLimit, currency });
  }

  /** Moves money. What cannot be done is a result that says why. Rejects with `INVALID_ARGUMENT`. */
  transfer({ id, legs, description = '' }: TransferRequest): Promise<LedgerResult> {
    return this.execute({ op: 'transfer', id, legs, description });
  }

  account(id: string, options?: ReadOptions): Promise<Account | undefined> {
    return this.read(
      async (manager) => (await manager.findOneBy(AccountEntity, { id })) ?? undefined,
      options,
    );
  }

  accounts(options?: ReadOptions): Promise<Account[]> {
    return this.read((manager) => manager.find(AccountEntity, { order: { id: 'ASC' } }), options);
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
    await this.read(async () => {}, options);
    return this.reader.ask(query);
  }

  private async execute(command: LedgerCommand): Promise<LedgerResult> {
    const problem = problemOf(command);
    if (problem !== undefined)
      throw new VarlogError('INVALID_ARGUMENT', { ...problem, outcome: 'notAppended' });
    return this.replica.execute(exactly(command), { timeoutMs: this.timeoutMs });
  }

  private async read<T>(
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
      const answer = this.replica.query(look, { consistency, signal });
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
  if (transfers.length === 0) return [];
  const postings = await manager
    .createQueryBuilder(PostingEntity, 'posting')
    .where('posting.transferId IN (:...ids)', { ids: transfers.map((it) => it.id) })
    .orderBy('posting.leg')
    .getMany();
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

/** Only what belongs to a command goes into the log. */
function exactly(command: LedgerCommand): LedgerCommand {
  if (command.op !== 'transfer') return command;
  return { ...command, legs: command.legs.map(({ account, amount }) => ({ account, amount })) };
}

function tooLate(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the ledger did not answer within ${timeoutMs} ms`,
    because: 'its log has no quorum, its database does not answer, or this replica is far behind',
    next: 'try again, or read with stale=1 what this replica has',
  });
}
