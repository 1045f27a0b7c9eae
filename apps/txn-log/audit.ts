import type { EntityManager } from 'typeorm';

export interface Audit {
  /** Whether nothing was found. */
  ok: boolean;
  accounts: number;
  transfers: number;
  /** Sum of all balances in minor units, which must be zero. A string, because it may be too large for a number. */
  sum: string;
  /** Transfers whose postings do not sum to zero in each currency. */
  unbalanced: string[];
  /** Accounts whose balance is not the sum of their postings. */
  deviating: string[];
  /** Accounts beyond their limit. */
  overdrawn: string[];
}

interface Row {
  id: string;
}

/** So many findings of a kind are named. */
const FINDINGS_MAX = 100;

/**
 * Sums are made of two halves: those of large amounts would leave the 64 bits of SQLite on the way to zero. Parts of such a sum are small
 * enough to be exact as numbers.
 */
const HALF = 2n ** 32n;
const highOf = (column: string): string => `coalesce(sum(${column} / ${HALF}), 0)`;
const lowOf = (column: string): string => `coalesce(sum(${column} % ${HALF}), 0)`;
const sumOf = (column: string): string => `(${highOf(column)} * ${HALF} + ${lowOf(column)})`;

/** Checks the whole book. */
export async function audit(manager: EntityManager): Promise<Audit> {
  const ids = async (sql: string): Promise<string[]> =>
    ((await manager.query(`${sql} LIMIT ${FINDINGS_MAX}`)) as Row[]).map((it) => it.id);
  const [totals] = (await manager.query(
    `SELECT (SELECT count(*) FROM account) AS accounts,
            (SELECT count(*) FROM transfer WHERE refusal IS NULL) AS transfers,
            (SELECT ${highOf('balance')} FROM account) AS high,
            (SELECT ${lowOf('balance')} FROM account) AS low`,
  )) as [Record<'accounts' | 'transfers' | 'high' | 'low', number | string>];
  const unbalanced = await ids(
    `SELECT DISTINCT transfer_id AS id FROM posting JOIN account ON account.id = posting.account_id
     GROUP BY transfer_id, currency HAVING ${sumOf('amount')} <> 0 ORDER BY 1`,
  );
  const deviating = await ids(
    `SELECT account.id AS id FROM account LEFT JOIN posting ON posting.account_id = account.id
     GROUP BY account.id, account.balance
     HAVING account.balance <> ${sumOf('posting.amount')} ORDER BY 1`,
  );
  const overdrawn = await ids('SELECT id FROM account WHERE balance < -overdraft_limit ORDER BY 1');
  const sum = String(BigInt(totals.high) * HALF + BigInt(totals.low));
  return {
    ok: sum === '0' && unbalanced.length + deviating.length + overdrawn.length === 0,
    accounts: Number(totals.accounts),
    transfers: Number(totals.transfers),
    sum,
    unbalanced,
    deviating,
    overdrawn,
  };
}
