import type { ExecuteOptions } from './execute-options.ts';

/** A command that was answered before the log had it. */
export interface Speculation<Result> {
  /**
   * What it comes to if nothing else takes effect before it but what this replica has under way. It may turn out otherwise: what
   * is shown or done on its account must be such that it can be taken back.
   */
  readonly tentative: Result;
  /**
   * What it came to. Rejects like `Replica.execute`: then it has no answer, and may have taken effect where the `outcome` of the
   * error is `unknown`. It need not be awaited.
   */
  readonly settled: Promise<Settled<Result>>;
}

/** What became of a {@link Speculation}. */
export interface Settled<Result> {
  /** `confirmed`: the tentative answer was the right one. `rolledBack`: this one is another. */
  readonly kind: 'confirmed' | 'rolledBack';
  readonly result: Result;
  /** A replica that has applied the log up to here knows of the command: for queries with `atLeast`. */
  readonly position: number;
}

/** A {@link Speculation} of a replica came to its end: `failed` with what `settled` rejects with. */
export type SpeculationEvent<Command, Result> = {
  readonly command: Command;
  readonly tentative: Result;
} & (Settled<Result> | { readonly kind: 'failed'; readonly error: unknown });

/** There is no waiting for room: whoever wants an answer at once does not want it later. */
export type SpeculateOptions = Omit<ExecuteOptions, 'whenFull'>;
