/** A source of randomness. Real in `runtime`, seeded in `testing`. */
export interface Random {
  /** A whole number from 0 to `limit` - 1; `limit` is from 1 to 2^32. */
  below(limit: number): number;
  /** A number from 0 (included) to 1 (excluded). */
  fraction(): number;
  /** A short text that no other call returns, on any machine: for client and incarnation ids. */
  id(): string;
}
