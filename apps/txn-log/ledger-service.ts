import type { DataSource, EntityManager } from 'typeorm';
import { VarlogError } from 'varlog/log';
import type { SqlReplica } from 'varlog/smr/sql';
import { type Audit, audit } from './audit.ts';
import {
  type Account,
  AccountEntity,
  type Posting,
  PostingEntity,
  type Transfer,
  TransferEntity,
} from './entities.ts';
import type { LedgerCommand, LedgerResult, Leg } from './ledger-machine.ts';
import { askInSql } from './read-only-sql.ts';

export interface ReadOptions {
  /** Answer from what this replica has, without asking the others. */
  stale?: boolean;
}

export interface TransferRequest {
  /** The idempotency key: the same one takes effect once, however often and wherever it is sent. */
  id: string;
  legs: Leg[];
  description?: string;
}

/** A transfer with its postings; of a refused one there are none. */
export type TransferEntry = Omit<Transfer, 'request'> & { postings: Omit<Posting, 'transferId'>[] };

const NAME_LENGTH_MAX = 200;
/** Neither zero characters nor half surrogate pairs come back from a database as they went in. */
const storable = (text: string): boolean => !text.includes('\0') && !/\p{Surrogate}/u.test(text);
const LEGS_MAX = 100;
/** A page of history has at most so many transfers. */
const PAGE = 1_000;

/** The ledger as its faces see it. */
export class LedgerService {
  private readonly replica: SqlReplica<LedgerCommand, LedgerResult>;
  private readonly reader: DataSource;

  constructor(replica: SqlReplica<LedgerCommand, LedgerResult>, reader: DataSource) {
    this.replica = replica;
    this.reader = reader;
  }

  /** Opens an account; `overdraftLimit` in minor units, `null` for none. Rejects with `INVALID_ARGUMENT`. */
  async open(account: string, overdraftLimit: number | null = 0): Promise<LedgerResult> {
    checkName('account', account);
    if (overdraftLimit !== null && !(Number.isSafeInteger(overdraftLimit) && overdraftLimit >= 0))
      throw invalid('the overdraft limit is not a whole number of minor units', 'give 0 or more');
    return this.replica.execute({ op: 'open', account, overdraftLimit });
  }

  /** Moves money. What cannot be done is a result that says why. Rejects with `INVALID_ARGUMENT`. */
  async transfer({ id, legs, description = '' }: TransferRequest): Promise<LedgerResult> {
    checkName('transfer', id);
    if (
      typeof description !== 'string' ||
      description.length > NAME_LENGTH_MAX ||
      !storable(description)
    )
      throw invalid(
        'the description is not a short text',
        `give up to ${NAME_LENGTH_MAX} characters`,
      );
    if (!Array.isArray(legs) || legs.length < 2 || legs.length > LEGS_MAX)
      throw invalid('the postings of a transfer are not a list', `give 2 to ${LEGS_MAX} of them`);
    for (const leg of legs) {
      checkName('account', leg?.account);
      if (!Number.isSafeInteger(leg.amount) || leg.amount === 0)
        throw invalid(
          `${leg.amount} is not an amount`,
          'give minor units (cents) as a whole number other than 0',
        );
    }
    // Only what belongs to a leg goes into the log.
    const exact = legs.map(({ account, amount }) => ({ account, amount }));
    return this.replica.execute({ op: 'transfer', id, legs: exact, description });
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

  audit(options?: ReadOptions): Promise<Audit> {
    return this.read(audit, options);
  }

  /** Rows of one SELECT; see `askInSql`. */
  async sql(query: string): Promise<unknown[]> {
    await this.replica.caughtUp();
    return askInSql(this.reader, query);
  }

  private read<T>(
    look: (manager: EntityManager) => Promise<T>,
    { stale = false }: ReadOptions = {},
  ): Promise<T> {
    return this.replica.query(look, { consistency: stale ? 'stale' : 'linearizable' });
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

function checkName(kind: string, name: unknown): void {
  const good =
    typeof name === 'string' && name !== '' && name.length <= NAME_LENGTH_MAX && storable(name);
  if (!good)
    throw invalid(
      `the name of the ${kind} is missing or not a name`,
      `give 1 to ${NAME_LENGTH_MAX} characters`,
    );
}

function invalid(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
