import { VarlogError } from './errors.ts';

/** What an unknown thrown value says of itself: the message of an error, anything else as text. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whatever was thrown, as an error of this package: itself where it is one, else the cause of an `INTERNAL`. */
export function asVarlogError(error: unknown): VarlogError {
  if (VarlogError.is(error)) return error;
  return new VarlogError('INTERNAL', { what: String(error), cause: error });
}
