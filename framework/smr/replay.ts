import { checkCount, VarlogError } from '../base/index.ts';
import {
  MachinePair,
  type PairOptions,
  type ReplayDifference,
  STATE_EVERY,
} from './machine-pair.ts';
import { endOf, entriesOf, type ReplayRange } from './replayed-machine.ts';

export interface ReplayOptions extends PairOptions {
  /** The last position. Default: the tail. */
  to?: number;
  /**
   * Commands between comparisons of the whole states. Where they differ, what lies between is replayed once more and
   * compared at each command. Default: 1,000.
   */
  stateEvery?: number;
}

export interface ReplayVerdict {
  /** How many commands took effect, from where the two are compared on. */
  readonly commands: number;
  /** The last position that was compared. */
  readonly position: number;
  /** `undefined` where there is none. */
  readonly difference?: ReplayDifference;
}

/**
 * Replays a log through two machines, step by step, and compares results and states. Rejects with the error of a command
 * that neither of them can apply, and with errors of the log.
 */
export async function runReplay(
  options: ReplayOptions,
  range: ReplayRange,
): Promise<ReplayVerdict> {
  const { stateEvery = STATE_EVERY, forkAt = 0 } = options;
  checkCount(stateEvery, 'stateEvery');
  checkCount(forkAt, 'forkAt', 0);
  checkCount(options.to, 'to', 0);
  const to = await endOf(range, options.to);
  if (forkAt > to) throw forksTooLate(forkAt, to);
  const { verdict, isExact } = await pass(options, range, to, stateEvery);
  const found = verdict.difference;
  if (found === undefined || isExact) return verdict;
  return (await closerLook(options, range, found)) ?? verdict;
}

/**
 * Replays once more up to a difference of states, and compares them at each command since they were equal. `undefined` where
 * nothing differs this time, and where what lies before that is not stored any more.
 */
export async function closerLook(
  options: PairOptions,
  range: ReplayRange,
  { position, after }: Pick<ReplayDifference, 'position' | 'after'>,
): Promise<ReplayVerdict | undefined> {
  try {
    const { verdict } = await pass(options, range, position, STATE_EVERY, after);
    return verdict.difference === undefined ? undefined : verdict;
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND') || VarlogError.is(error, 'TRIMMED')) return undefined;
    throw error;
  }
}

async function pass(
  options: PairOptions,
  range: ReplayRange,
  to: number,
  stateEvery: number,
  denseAfter?: number,
): Promise<{ verdict: ReplayVerdict; isExact: boolean }> {
  const { log, signal } = range;
  const pair = await MachinePair.open(options, range, denseAfter ?? to);
  try {
    // A snapshot that the log begins with by now would hide what lies before it.
    if (denseAfter !== undefined)
      for await (const next of entriesOf(log, pair.position, denseAfter, signal))
        await pair.take(next, stateEvery, denseAfter);
    for await (const next of entriesOf(log, pair.position, to, signal)) {
      if (pair.difference !== undefined) break;
      await pair.take(next, stateEvery, denseAfter);
    }
    pair.compareUnseen();
    if (pair.difference === undefined) pair.checkName();
    const { commands, position, difference, isExact } = pair;
    const verdict = { commands, position, ...(difference && { difference }) };
    return { verdict, isExact };
  } finally {
    await pair.close();
  }
}

function forksTooLate(forkAt: number, to: number): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `the machines are to be compared from position ${forkAt} on, and the replay ends at ${to}`,
    next: 'fork before the end',
  });
}
