import type { EntityManager } from 'typeorm';
import { asText } from './exact-rows.ts';

export interface Audit {
  /** Whether nothing was found. */
  ok: boolean;
  accounts: number;
  transfers: number;
  /** Sum of all balances in minor units, which must be zero. A text, because it may be too large for a number. */
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
 * Sums are made of two halves: those of large amounts would leave the 64 bits of SQLite on the way to their result. In SQL the halves are
 * put together only to see whether that is zero.
 */
const HALF = 2n ** 32n;
const highOf = (column: string): string => `coalesce(sum(${column} / ${HALF}), 0)`;
const lowOf = (column: string): string => `coalesce(sum(${column} % ${HALF}), 0)`;
const isNotZero = (high: string, low: string): string => `(${high}) * ${HALF} + ${low} <> 0`;

/** Checks the whole book. */
export async function audit(manager: EntityManager): Promise<Audit> {
  const ids = async (sql: string): Promise<string[]> =>
    ((await manager.query(`${sql} LIMIT ${FINDINGS_MAX}`)) as Row[]).map((it) => it.id);
  const [totals] = (await manager.query(
    `SELECT (SELECT count(*) FROM account) AS accounts,
            (SELECT count(*) FROM transfer WHERE refusal IS NULL) AS transfers,
            (SELECT ${asText(highOf('balance'))} FROM account) AS high,
            (SELECT ${asText(lowOf('balance'))} FROM account) AS low`,
  )) as [Record<'accounts' | 'transfers', number | string> & Record<'high' | 'low', string>];
  const unbalanced = await ids(
    `SELECT DISTINCT transfer_id AS id FROM posting JOIN account ON account.id = posting.account_id
     GROUP BY transfer_id, currency HAVING ${isNotZero(highOf('amount'), lowOf('amount'))} ORDER BY 1`,
  );
  const deviating = await ids(
    `SELECT account.id AS id FROM account LEFT JOIN posting ON posting.account_id = account.id
     GROUP BY account.id, account.balance
     HAVING ${isNotZero(
       `${highOf('posting.amount')} - account.balance / ${HALF}`,
       `${lowOf('posting.amount')} - account.balance % ${HALF}`,
     )} ORDER BY 1`,
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
