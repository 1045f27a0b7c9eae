/** What an account has whose currency nobody named: it is defined from the start. */
export const NO_CURRENCY = 'NONE';

/** More than any currency has. */
export const EXPONENT_MAX = 12;

/** A kind of money. Amounts in it are whole minor units, of which 10 to the power of `exponent` are one unit. */
export interface Currency {
  code: string;
  exponent: number;
}

/** Three to eight letters and digits, large, beginning with a letter: ISO 4217 has three. */
export const isCurrencyCode = (code: unknown): code is string =>
  typeof code === 'string' && /^[A-Z][A-Z0-9]{2,7}$/.test(code);

/** An amount as people write it: 1234 of a currency with the exponent 2 is 12.34. */
export function shownAmount(minorUnits: bigint, exponent: number): string {
  const digits = String(minorUnits < 0n ? -minorUnits : minorUnits).padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent);
  const part = exponent === 0 ? '' : `.${digits.slice(-exponent)}`;
  return `${minorUnits < 0n ? '-' : ''}${whole}${part}`;
}
