/** The largest amount and balance that numbers of JSON hold exactly: where rules 1 are in force, there is nothing larger. */
export const NUMBER_MAX = BigInt(Number.MAX_SAFE_INTEGER);
/** The largest amount and balance: what 64 bits hold, and the same below zero. */
export const AMOUNT_MAX = 2n ** 63n - 1n;

/** An amount in JSON: a number where that is exact, and else its digits, as text. */
export type WrittenAmount = number | string;

/** A value as it is in JSON. */
export type Written<T> = T extends bigint
  ? WrittenAmount
  : T extends readonly (infer Item)[]
    ? Written<Item>[]
    : T extends object
      ? { [Name in keyof T]: Written<T[Name]> }
      : T;

/** An amount has one way to be written, so that what is the same can be told by its text. */
export function writtenAmount(amount: bigint): WrittenAmount {
  return amount >= -NUMBER_MAX && amount <= NUMBER_MAX ? Number(amount) : String(amount);
}

/**
 * What may be an amount; `undefined` for what is none that rules 2 know: a whole number below 2^53, or a text of digits that
 * stands for up to 2^63 - 1.
 */
export function amountIn(written: unknown): bigint | undefined {
  if (typeof written === 'number')
    return Number.isSafeInteger(written) ? BigInt(written) : undefined;
  if (typeof written !== 'string' || !/^-?(0|[1-9]\d{0,18})$/.test(written)) return undefined;
  const amount = BigInt(written);
  return amount >= -AMOUNT_MAX && amount <= AMOUNT_MAX ? amount : undefined;
}
