import type { EntityManager } from 'typeorm';
import { type Account, AccountEntity, type Posting, PostingEntity } from './entities.ts';

/** An amount as text: SQLite's driver rounds large ones to numbers. */
export const asText = (column: string): string => `CAST(${column} AS TEXT)`;

/** What the drivers make of whole numbers: SQLite's numbers, Postgres's texts. */
type Raw<Row> = { [Name in keyof Row]: Row[Name] extends string ? string : string | number };

/** All accounts by id, or those with these ids. */
export async function accountsIn(
  manager: EntityManager,
  ids?: readonly string[],
): Promise<Account[]> {
  const query = manager
    .createQueryBuilder(AccountEntity, 'account')
    .select('account.id', 'id')
    .addSelect(asText('account.balance'), 'balance')
    .addSelect(asText('account.overdraftLimit'), 'overdraftLimit')
    .addSelect('account.openedAt', 'openedAt')
    .addSelect('account.currency', 'currency')
    .orderBy('account.id');
  if (ids !== undefined) query.where('account.id IN (:...ids)', { ids });
  const rows = await query.getRawMany<Raw<Account>>();
  return rows.map(({ balance, overdraftLimit, openedAt, ...row }) => ({
    id: row.id,
    balance: BigInt(balance),
    overdraftLimit: overdraftLimit === null ? null : BigInt(overdraftLimit),
    openedAt: Number(openedAt),
    currency: row.currency,
  }));
}

/** The postings of these transfers, in the order of their legs. */
export async function postingsOf(
  manager: EntityManager,
  transferIds: readonly string[],
): Promise<Posting[]> {
  if (transferIds.length === 0) return [];
  const rows = await manager
    .createQueryBuilder(PostingEntity, 'posting')
    .select('posting.transferId', 'transferId')
    .addSelect('posting.leg', 'leg')
    .addSelect('posting.accountId', 'accountId')
    .addSelect(asText('posting.amount'), 'amount')
    .addSelect(asText('posting.balance'), 'balance')
    .where('posting.transferId IN (:...transferIds)', { transferIds })
    .orderBy('posting.leg')
    .getRawMany<Raw<Posting>>();
  return rows.map(({ transferId, leg, accountId, amount, balance }) => {
    return {
      transferId,
      leg: Number(leg),
      accountId,
      amount: BigInt(amount),
      balance: BigInt(balance),
    };
  });
}
