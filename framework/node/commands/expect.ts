import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import type { Expectation } from '../../log/index.ts';
import { atLeast } from './cli-context.ts';

/** What an append expects of its log stream. */
export interface ExpectFlags {
  key?: string;
  expectTail?: number;
  expectVersion?: number;
  expectFence?: number;
}

/** Lets a command say what an append expects. */
export function addExpectOptions(command: Command): Command {
  return command
    .option(
      '--expect-tail <llsn>',
      'append only if this is the last record of the log stream; 0: it has none',
      atLeast(0),
    )
    .option(
      '--expect-version <llsn>',
      'append only if no record with the key of --key comes after this one in the log stream; 0: there is none',
      atLeast(0),
    )
    .option(
      '--expect-fence <token>',
      'append only if this is the fencing token: see "fence"',
      atLeast(1),
    );
}

/** As `topic.append` takes it. `once`: it is one append, and not one for each line. */
export function expectationOf(
  { key, expectTail: tail, expectVersion: version, expectFence: fence }: ExpectFlags,
  once: boolean,
): { expect?: Expectation } {
  const isOfPlace = tail !== undefined || version !== undefined;
  if (!isOfPlace && fence === undefined) return {};
  if (isOfPlace && !once) {
    throw unusable(
      '--expect-tail and --expect-version are about one append, and the standard input makes several',
      'give the records as texts',
    );
  }
  if (version !== undefined && key === undefined) {
    throw unusable('--expect-version is about a key, and none is given', 'give --key too');
  }
  return {
    expect: {
      ...(tail !== undefined && { tail }),
      ...(version !== undefined && { stream: { key: key!, version } }),
      ...(fence !== undefined && { fence }),
    },
  };
}

function unusable(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next });
}
