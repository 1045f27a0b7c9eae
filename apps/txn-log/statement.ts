import type { EntityManager } from 'typeorm';
import { PostingEntity, TransferEntity } from './entities.ts';
import { accountsIn, asText } from './exact-rows.ts';

/** Which stretch of an account's history. */
export interface StatementQuestion {
  account: string;
  /** Milliseconds since 1970, by the log's clock. Default: the beginning. */
  from?: number | undefined;
  /** The first that does not belong to it. Default: no end. */
  to?: number | undefined;
  /** Goes on where a page ended: its `next`. */
  after?: StatementPlace | undefined;
  /** Entries of a page. Default: 100. */
  limit?: number | undefined;
}

/** A posting, by the position of its transfer and its leg. */
export interface StatementPlace {
  position: number;
  leg: number;
}

/** Something that came or went. Amounts are minor units. */
export interface StatementEntry extends StatementPlace {
  transfer: string;
  time: number;
  description: string;
  amount: bigint;
  /** What the account had after it. */
  balance: bigint;
}

/** A page of a statement, the oldest first. */
export interface Statement {
  account: string;
  currency: string;
  /** What the account had before the first entry of this page. */
  opening: bigint;
  entries: StatementEntry[];
  /** Where the next page begins; `null` where there is none. */
  next: StatementPlace | null;
}

const LIMIT = 100;

/**
 * A page of an account's postings. Pages follow the order of the log, so that what comes meanwhile is at the end, and nothing
 * is seen twice or left out.
 */
export async function statementOf(
  manager: EntityManager,
  question: StatementQuestion,
): Promise<Statement | undefined> {
  const { account: id, from = 0, after, limit = LIMIT } = question;
  const [account] = await accountsIn(manager, [id]);
  if (account === undefined) return undefined;
  const query = manager
    .createQueryBuilder(PostingEntity, 'posting')
    .innerJoin(TransferEntity.options.name, 'transfer', 'transfer.id = posting.transferId')
    .select('transfer.id', 'transfer')
    .addSelect('transfer.position', 'position')
    .addSelect('posting.leg', 'leg')
    .addSelect('transfer.time', 'time')
    .addSelect('transfer.description', 'description')
    .addSelect(asText('posting.amount'), 'amount')
    .addSelect(asText('posting.balance'), 'balance')
    .where('posting.accountId = :id AND transfer.time >= :from', { id, from })
    .orderBy('transfer.position')
    .addOrderBy('posting.leg')
    .limit(limit + 1);
  if (question.to !== undefined) query.andWhere('transfer.time < :to', { to: question.to });
  if (after !== undefined)
    query.andWhere(
      '(transfer.position > :position OR (transfer.position = :position AND posting.leg > :leg))',
      after,
    );
  const found = (await query.getRawMany()).map(entryOf);
  const entries = found.slice(0, limit);
  const [first] = entries;
  const last = entries.at(-1);
  return {
    account: id,
    currency: account.currency,
    opening: first === undefined ? await before(manager, question) : first.balance - first.amount,
    entries,
    next: found.length > limit ? { position: last!.position, leg: last!.leg } : null,
  };
}

/** What the account had when the stretch began, or ended where pages before took all that is in it. */
async function before(
  manager: EntityManager,
  { account, from = 0, after }: StatementQuestion,
): Promise<bigint> {
  const query = manager
    .createQueryBuilder(PostingEntity, 'posting')
    .innerJoin(TransferEntity.options.name, 'transfer', 'transfer.id = posting.transferId')
    .select(asText('posting.balance'), 'balance')
    .where('posting.accountId = :account', { account })
    .orderBy('transfer.position', 'DESC')
    .addOrderBy('posting.leg', 'DESC')
    .limit(1);
  if (after === undefined) query.andWhere('transfer.time < :from', { from });
  else query.andWhere('transfer.position <= :position', after);
  const row = (await query.getRawOne()) as { balance: string } | undefined;
  return BigInt(row?.balance ?? 0);
}

/** Postgres hands whole numbers out as text. */
function entryOf(row: Record<keyof StatementEntry, string | number>): StatementEntry {
  const { transfer, description } = row;
  return {
    transfer: String(transfer),
    position: Number(row.position),
    leg: Number(row.leg),
    time: Number(row.time),
    description: String(description),
    amount: BigInt(row.amount),
    balance: BigInt(row.balance),
  };
}
