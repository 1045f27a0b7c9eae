/** One leg of a transfer: what an account gets (positive) or gives (negative), in minor units. */
export interface Leg {
  account: string;
  amount: number;
}

/** What decides whether an account can give or take. */
export interface Balance {
  /** Minor units (cents). */
  balance: number;
  /** The balance may go down to minus this; `null`: without limit. */
  overdraftLimit: number | null;
  /** What its amounts are minor units of. */
  currency: string;
}

export type TransferRefusal = 'NO_SUCH_ACCOUNT' | 'OVERDRAFT' | 'UNBALANCED' | 'BALANCE_TOO_LARGE';

/** A leg that took effect, and the account's balance after it. */
export interface Posted extends Leg {
  balance: number;
}

/** What becomes of a transfer: its postings, or why there are none. */
export type Decided =
  | { refusal: TransferRefusal }
  | { refusal?: never; postings: Posted[]; balances: Map<string, number> };

/**
 * Decides on a transfer, whose legs must sum to zero in each currency, from its legs and the accounts alone. Amounts are whole numbers other than zero below 2^53
 * on either side; so is every balance, also between two legs, since each posting carries it. Of such numbers a sum that is one of
 * them is exact, and one that was rounded is not one of them.
 */
export function decide(legs: readonly Leg[], accounts: ReadonlyMap<string, Balance>): Decided {
  // In whole numbers of any size: a sum of large amounts must not be rounded to zero.
  if (legs.reduce((sum, { amount }) => sum + BigInt(amount), 0n) !== 0n)
    return { refusal: 'UNBALANCED' };
  const balances = new Map<string, number>();
  for (const { account } of legs) {
    const found = accounts.get(account);
    if (found === undefined) return { refusal: 'NO_SUCH_ACCOUNT' };
    balances.set(account, found.balance);
  }
  const sums = new Map<string, bigint>();
  for (const { account, amount } of legs) {
    const { currency } = accounts.get(account)!;
    sums.set(currency, (sums.get(currency) ?? 0n) + BigInt(amount));
  }
  if ([...sums.values()].some((it) => it !== 0n)) return { refusal: 'UNBALANCED' };
  const postings: Posted[] = [];
  for (const { account, amount } of legs) {
    const balance = balances.get(account)! + amount;
    if (!Number.isSafeInteger(balance)) return { refusal: 'BALANCE_TOO_LARGE' };
    balances.set(account, balance);
    postings.push({ account, amount, balance });
  }
  for (const [account, after] of balances) {
    const { balance, overdraftLimit } = accounts.get(account)!;
    if (after < balance && overdraftLimit !== null && after < -overdraftLimit)
      return { refusal: 'OVERDRAFT' };
  }
  return { postings, balances };
}
