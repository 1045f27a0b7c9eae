import type { CommandPlace } from '../../smr/log-context.ts';

/** A command at its place in the log, as its bytes lie there. */
export interface Step extends CommandPlace {
  readonly command: Uint8Array;
}

/** What a command came to, encoded. */
export interface StepOutcome {
  readonly result: Uint8Array;
  /** The state after it. */
  readonly state: Uint8Array;
}
