/** One leg of a transfer: what an account gets (positive) or gives (negative), in minor units. */
export interface Leg {
  account: string;
  amount: bigint;
}

/** What decides whether an account can give or take. */
export interface Balance {
  /** Minor units (cents). */
  balance: bigint;
  /** The balance may go down to minus this; `null`: without limit. */
  overdraftLimit: bigint | null;
  /** What its amounts are minor units of. */
  currency: string;
}

export type TransferRefusal = 'NO_SUCH_ACCOUNT' | 'OVERDRAFT' | 'UNBALANCED' | 'BALANCE_TOO_LARGE';

/** A leg that took effect, and the account's balance after it. */
export interface Posted extends Leg {
  balance: bigint;
}

/** What becomes of a transfer: its postings, or why there are none. */
export type Decided =
  | { refusal: TransferRefusal }
  | { refusal?: never; postings: Posted[]; balances: Map<string, bigint> };

/**
 * Decides on a transfer, whose legs must sum to zero in each currency, from its legs and the accounts alone. No balance gets
 * beyond `most` on either side of zero, also between two legs, since each posting carries it.
 */
export function decide(
  legs: readonly Leg[],
  accounts: ReadonlyMap<string, Balance>,
  most: bigint,
): Decided {
  if (legs.reduce((sum, { amount }) => sum + amount, 0n) !== 0n) return { refusal: 'UNBALANCED' };
  const balances = new Map<string, bigint>();
  for (const { account } of legs) {
    const found = accounts.get(account);
    if (found === undefined) return { refusal: 'NO_SUCH_ACCOUNT' };
    balances.set(account, found.balance);
  }
  const sums = new Map<string, bigint>();
  for (const { account, amount } of legs) {
    const { currency } = accounts.get(account)!;
    sums.set(currency, (sums.get(currency) ?? 0n) + amount);
  }
  if ([...sums.values()].some((it) => it !== 0n)) return { refusal: 'UNBALANCED' };
  const postings: Posted[] = [];
  for (const { account, amount } of legs) {
    const balance = balances.get(account)! + amount;
    if (balance > most || balance < -most) return { refusal: 'BALANCE_TOO_LARGE' };
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
