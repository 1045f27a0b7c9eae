import { amountIn, type Written, type WrittenAmount } from './amount.ts';
import type { Leg } from './book.ts';
import { EXPONENT_MAX, isCurrencyCode, NO_CURRENCY } from './currency.ts';

/**
 * The newest rules of the ledger. From 2 on amounts and balances go up to 2^63 - 1, and an amount may be a text of digits; before,
 * they are numbers, below 2^53.
 */
export const LEDGER_RULES = 2;

/** As it lies in the log. */
export type LedgerCommand =
  /** Defines a currency. */
  | { op: 'currency'; code: string; exponent: number }
  /** Without a currency: in `NONE`, of which a minor unit is a whole one. */
  | { op: 'open'; account: string; overdraftLimit: WrittenAmount | null; currency?: string }
  | { op: 'transfer'; id: string; legs: Written<Leg>[]; description: string };

/** What is wrong with something that was meant as a command, and what to give instead. */
export interface Problem {
  what: string;
  next: string;
}

const NAME_LENGTH_MAX = 200;
const LEGS_MAX = 100;

/**
 * Looks at what may be anything: the server asks before a command goes into the log, and every replica asks again when it
 * comes out, because others can append as well. `rules`: those in force.
 */
export function problemOf(command: unknown, rules: number): Problem | undefined {
  const given = (command ?? {}) as Partial<Record<Field, unknown>>;
  if (given.op === 'open')
    return (
      nameProblem('account', given.account) ??
      limitProblem(given.overdraftLimit, rules) ??
      codeProblem(given.currency ?? NO_CURRENCY)
    );
  if (given.op === 'currency') return codeProblem(given.code) ?? exponentProblem(given.exponent);
  if (given.op === 'transfer')
    return (
      nameProblem('transfer', given.id) ??
      descriptionProblem(given.description) ??
      legsProblem(given.legs, rules)
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

function limitProblem(limit: unknown, rules: number): Problem | undefined {
  const known = knownAmount(limit, rules);
  if (limit === null || (known !== undefined && known >= 0n)) return undefined;
  return {
    what: `the overdraft limit is not a whole number of minor units below ${endOf(rules)}`,
    next: 'give 0 or more, or null for no limit',
  };
}

function legsProblem(legs: unknown, rules: number): Problem | undefined {
  if (!Array.isArray(legs) || legs.length < 2 || legs.length > LEGS_MAX) {
    return {
      what: 'the postings of a transfer are not a list',
      next: `give 2 to ${LEGS_MAX} of them`,
    };
  }
  for (const leg of legs as (Partial<Written<Leg>> | null)[]) {
    const problem = nameProblem('account', leg?.account) ?? amountProblem(leg?.amount, rules);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** An amount on either side of zero. */
export function amountProblem(amount: unknown, rules: number): Problem | undefined {
  const known = knownAmount(amount, rules);
  if (known !== undefined && known !== 0n) return undefined;
  return {
    what: `${['number', 'string'].includes(typeof amount) ? amount : 'this'} is not an amount`,
    next: `give minor units (cents) as a whole number other than 0, below ${endOf(rules)}`,
  };
}

/** Whoever knows rules 1 alone takes a text for no amount: until the others are in force, that is so everywhere. */
function knownAmount(written: unknown, rules: number): bigint | undefined {
  return rules < 2 && typeof written !== 'number' ? undefined : amountIn(written);
}

const endOf = (rules: number): string => (rules < 2 ? '2^53' : '2^63');

/** Neither zero characters nor half surrogate pairs come back from a database as they went in. */
function isText(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text.length <= NAME_LENGTH_MAX &&
    !text.includes('\0') &&
    !/\p{Surrogate}/u.test(text)
  );
}
