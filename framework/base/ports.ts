import type { Clock } from './clock.ts';
import type { Disk } from './disk.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';

/** Takes notes for the operator. Never decides anything. */
export interface Logger {
  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: object): void;
}

export const noLogger: Logger = { log: () => {} };

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
