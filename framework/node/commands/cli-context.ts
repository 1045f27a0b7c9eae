import { InvalidArgumentError } from 'commander';
import type { Varlog } from '../../log/index.ts';
import type { Output } from '../output.ts';

/** What every command has at hand. */
export interface Cli {
  /** Runs a command's work: prints its error, sets the exit code. */
  run(work: (output: Output) => Promise<void>): Promise<void>;
  /** Asks a cluster something, with a client that is closed afterwards; errors are the caller's. */
  ask<T>(question: (varlog: Varlog) => Promise<T>): Promise<T>;
  /** Runs work with a client that is closed afterwards. */
  withClient(work: (varlog: Varlog, output: Output) => Promise<void>): Promise<void>;
  /** Resolves at the first Ctrl-C or SIGTERM, or when the process that started this one is gone. */
  stopSignal(): Promise<void>;
  /** Aborted when the user presses Ctrl-C: for commands that follow. */
  interrupted(): AbortSignal;
}

/** Parses a whole number for commander. */
export function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number, ${least} or more.`);
  };
}
