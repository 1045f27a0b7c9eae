import { EntitySchema, type ValueTransformer } from 'typeorm';
import { VarlogError } from 'varlog/log';
import type { Balance } from './book.ts';
import type { Currency } from './currency.ts';

export interface Account extends Balance {
  id: string;
  /** Position of the command that opened it. */
  openedAt: number;
}

export interface Transfer {
  /** The idempotency key. */
  id: string;
  position: number;
  /** Milliseconds since 1970, by the log's clock. */
  time: number;
  description: string;
  /** Why it was refused; `null` when it took effect. */
  refusal: string | null;
  /** Postings and description as asked for, to tell a repeat from another transfer under the same key. */
  request: string;
}

export interface Posting {
  transferId: string;
  leg: number;
  accountId: string;
  amount: bigint;
  /** The account's balance after it. */
  balance: bigint;
}

/** Whole numbers below 2^53, exact in a `bigint` column; Postgres hands them out as text. */
const wholeNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | number | null) => {
    if (value === null) return null;
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new VarlogError('CORRUPT', {
      what: `the database holds ${value} where a whole number below 2^53 belongs`,
      next: 'run the audit, and rebuild the database from the log',
    });
  },
};
const whole = (name: string) => ({ name, type: 'bigint', transformer: wholeNumber }) as const;
/**
 * Up to 63 bits, which SQLite's driver hands out as numbers that need not be exact: to be read by the functions of
 * `exact-rows.ts`, and by nothing else.
 */
const amount = (name: string) => ({ name, type: 'bigint', select: false }) as const;
const text = (name: string) => ({ name, type: 'varchar' }) as const;

export const AccountEntity = new EntitySchema<Account>({
  name: 'account',
  columns: {
    id: { type: 'varchar', primary: true },
    balance: amount('balance'),
    overdraftLimit: { ...amount('overdraft_limit'), nullable: true },
    openedAt: whole('opened_at'),
    currency: text('currency'),
  },
});

export const CurrencyEntity = new EntitySchema<Currency>({
  name: 'currency',
  columns: { code: { type: 'varchar', primary: true }, exponent: { type: 'int' } },
});

export const TransferEntity = new EntitySchema<Transfer>({
  name: 'transfer',
  columns: {
    id: { type: 'varchar', primary: true },
    position: whole('position'),
    time: whole('time'),
    description: text('description'),
    refusal: { ...text('refusal'), nullable: true },
    request: { name: 'request', type: 'text' },
  },
});

export const PostingEntity = new EntitySchema<Posting>({
  name: 'posting',
  columns: {
    transferId: { ...text('transfer_id'), primary: true },
    leg: { type: 'int', primary: true },
    accountId: text('account_id'),
    amount: amount('amount'),
    balance: amount('balance'),
  },
});

export const LEDGER_ENTITIES = [AccountEntity, CurrencyEntity, TransferEntity, PostingEntity];
