import type { Leg } from './book.ts';
import { EXPONENT_MAX, isCurrencyCode, NO_CURRENCY } from './currency.ts';

export type LedgerCommand =
  /** Defines a currency. */
  | { op: 'currency'; code: string; exponent: number }
  /** Without a currency: in `NONE`, of which a minor unit is a whole one. */
  | { op: 'open'; account: string; overdraftLimit: number | null; currency?: string }
  | { op: 'transfer'; id: string; legs: Leg[]; description: string };

/** What is wrong with something that was meant as a command, and what to give instead. */
export interface Problem {
  what: string;
  next: string;
}

const NAME_LENGTH_MAX = 200;
const LEGS_MAX = 100;

/**
 * Looks at what may be anything: the server asks before a command goes into the log, and every replica asks again when it
 * comes out, because others can append as well.
 */
export function problemOf(command: unknown): Problem | undefined {
  const given = (command ?? {}) as Partial<Record<Field, unknown>>;
  if (given.op === 'open')
    return (
      nameProblem('account', given.account) ??
      limitProblem(given.overdraftLimit) ??
      codeProblem(given.currency ?? NO_CURRENCY)
    );
  if (given.op === 'currency') return codeProblem(given.code) ?? exponentProblem(given.exponent);
  if (given.op === 'transfer')
    return (
      nameProblem('transfer', given.id) ??
      descriptionProblem(given.description) ??
      legsProblem(given.legs)
    );
  return { what: 'this is no command of the ledger', next: 'open an account or transfer money' };
}

type FieldOf<Command> = Command extends unknown ? keyof Command : never;
type Field = FieldOf<LedgerCommand>;

function codeProblem(code: unknown): Problem | undefined {
  if (isCurrencyCode(code)) return undefined;
  return {
    what: 'the code of the currency is not one',
    next: 'give three to eight large letters and digits, such as EUR',
  };
}

function exponentProblem(exponent: unknown): Problem | undefined {
  if (
    Number.isInteger(exponent) &&
    (exponent as number) >= 0 &&
    (exponent as number) <= EXPONENT_MAX
  )
    return undefined;
  return {
    what: 'the exponent of the currency is not a small whole number',
    next: `give 0 to ${EXPONENT_MAX}: 2 where 100 minor units are one`,
  };
}

function nameProblem(kind: string, name: unknown): Problem | undefined {
  if (isText(name) && name !== '') return undefined;
  return {
    what: `the name of the ${kind} is missing or not a name`,
    next: `give 1 to ${NAME_LENGTH_MAX} characters`,
  };
}

function descriptionProblem(description: unknown): Problem | undefined {
  if (isText(description)) return undefined;
  return {
    what: 'the description is not a short text',
    next: `give up to ${NAME_LENGTH_MAX} characters`,
  };
}

function limitProblem(limit: unknown): Problem | undefined {
  if (limit === null || (Number.isSafeInteger(limit) && (limit as number) >= 0)) return undefined;
  return {
    what: 'the overdraft limit is not a whole number of minor units below 2^53',
    next: 'give 0 or more, or null for no limit',
  };
}

function legsProblem(legs: unknown): Problem | undefined {
  if (!Array.isArray(legs) || legs.length < 2 || legs.length > LEGS_MAX) {
    return {
      what: 'the postings of a transfer are not a list',
      next: `give 2 to ${LEGS_MAX} of them`,
    };
  }
  for (const leg of legs as (Partial<Leg> | null)[]) {
    const problem = nameProblem('account', leg?.account) ?? amountProblem(leg?.amount);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** An amount on either side of zero. */
export function amountProblem(amount: unknown): Problem | undefined {
  if (Number.isSafeInteger(amount) && amount !== 0) return undefined;
  return {
    what: `${typeof amount === 'number' ? amount : 'this'} is not an amount`,
    next: 'give minor units (cents) as a whole number other than 0, below 2^53',
  };
}

/** Neither zero characters nor half surrogate pairs come back from a database as they went in. */
function isText(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text.length <= NAME_LENGTH_MAX &&
    !text.includes('\0') &&
    !/\p{Surrogate}/u.test(text)
  );
}
