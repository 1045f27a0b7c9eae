import type { Clock } from './clock.ts';
import type { Disk } from './disk.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';

/** Takes notes for the operator. Never decides anything. */
export interface Logger {
  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: object): void;
}

export const noLogger: Logger = { log: () => {} };

/** Tells programs around this one what is being done, for their spans. Never decides anything. */
export interface Tracing {
  /** Whether anybody listens to an operation: otherwise nothing is measured for it. */
  listens(operation: string): boolean;
  /** Does the work, and tells its beginning and its end, in the context of the caller. What it gives back is told too. */
  trace<T>(operation: string, facts: object, work: () => Promise<T>): Promise<T>;
}

/**
 * Everything that is not deterministic enters a process here. One value per process (in the
 * simulator: per simulated process), passed down, never imported.
 */
export interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly network: Network;
  readonly logger: Logger;
}
