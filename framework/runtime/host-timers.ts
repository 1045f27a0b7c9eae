import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';

/** Timers of the machine. */
export interface HostTimers {
  /** Milliseconds since some moment. */
  now(): number;
  setTimeout(run: () => void, ms: number): NodeJS.Timeout;
  clearTimeout(timeout: NodeJS.Timeout): void;
  setInterval(run: () => void, ms: number): NodeJS.Timeout;
  clearInterval(interval: NodeJS.Timeout): void;
  setImmediate(run: () => void): NodeJS.Immediate;
}

/**
 * The real ones, as they were when this file was loaded. A test of a program that replaces the global ones by timers
 * that it advances by hand would otherwise stop everything that this package does, and wait for it without an end.
 */
export const hostTimers: HostTimers = {
  now: performance.now.bind(performance),
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
};
