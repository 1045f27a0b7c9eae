import { VarlogError } from './errors.ts';

/** What an unknown thrown value says of itself: the message of an error, anything else as text. Never throws itself. */
export function reasonOf(error: unknown): string {
  return said(() => (error instanceof Error ? error.message : error));
}

/** Whatever was thrown, as an error of this package: itself where it is one, else the cause of an `INTERNAL`. */
export function asVarlogError(error: unknown): VarlogError {
  if (VarlogError.is(error)) return error;
  return new VarlogError('INTERNAL', { what: said(() => error), cause: error });
}

/** What was thrown is anybody's: it need not be able to say what it is, and must not hide by that that something failed. */
function said(value: () => unknown): string {
  try {
    return String(value());
  } catch {
    return 'something was thrown that does not say what it is';
  }
}
