import { InvalidArgumentError } from 'commander';
import type { Topic, Varlog } from '../../log/index.ts';
import type { Output } from '../output.ts';

/** A topic as it was named on the command line: by its id, or by an address that brings it along. */
export type TopicArgument = { readonly id: number } | { readonly url: string };

/** What every command has at hand. */
export interface Cli {
  /** Runs a command's work: prints its error, unless `tell` says it in another way, and sets the exit code. */
  run(
    work: (output: Output) => Promise<void>,
    tell?: (error: unknown, output: Output) => void,
  ): Promise<void>;
  /** Asks a cluster something, with a client that is closed afterwards; errors are the caller's. */
  ask<T>(question: (varlog: Varlog) => Promise<T>): Promise<T>;
  /** Runs work with a client that is closed afterwards. */
  withClient(work: (varlog: Varlog, output: Output) => Promise<void>): Promise<void>;
  /** Runs work with a topic, by default that of the address in --endpoints or VARLOG_URL. */
  withTopic(
    argument: TopicArgument | undefined,
    work: (topic: Topic, output: Output) => Promise<void>,
  ): Promise<void>;
  /** Resolves when this process is told to end: see `runtime`. */
  toldToEnd(): Promise<void>;
  /** Aborted when the user presses Ctrl-C or closes the terminal, or when nobody reads the output any more. */
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

/** Parses a topic for commander. What is wrong with an address is said by the client. */
export function topicArgument(text: string): TopicArgument {
  return text.startsWith('varlog://') ? { url: text } : { id: atLeast(1)(text) };
}
