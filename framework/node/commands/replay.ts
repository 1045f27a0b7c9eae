import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import {
  type ReplayDifference,
  type ReplayVerdict,
  replay,
  type ShadowStatus,
  snapshotDirectory,
  startShadow,
} from '../../smr/index.ts';
import { jsonOf, type Output } from '../output.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { loadMachine } from './load-machine.ts';

const DIFFERS = 1;
/** So that a script can tell a failure apart from a difference. */
const FAILED = 70;

interface ReplayFlags {
  machine: string;
  against?: string;
  twice?: boolean;
  snapshots?: string;
  forkAt?: number;
  to?: number;
  follow?: boolean;
  stateEvery?: number;
}

/** `replay`: whether a new version of a state machine makes of a log what the old one made of it. */
export function addReplayCommand(program: Command, cli: Cli): void {
  program
    .command('replay')
    .description(
      'run the commands of a topic through two versions of a state machine, or twice through one; exit code 0: same, 1: they differ',
    )
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .requiredOption('--machine <file>', 'module that exports the new version as `machine`')
    .option('--against <file>', 'module of the version that runs now')
    .option('--twice', 'instead: run it in two instances, to find what is not deterministic')
    .option('--snapshots <folder>', "begin with a replica's stored snapshot; the start if left out")
    .option('--fork-at <glsn>', 'apply the new version from here on only', atLeast(0))
    .option('--follow', 'go on with what is appended, until they differ or you press Ctrl-C')
    .option('--to <glsn>', 'last record; the tail if left out', atLeast(1))
    .option('--state-every <count>', 'commands between comparisons of whole states', atLeast(1))
    .action(async (topic: TopicArgument, flags: ReplayFlags) => {
      let differs = false;
      await cli.withTopic(topic, async (it, output) => {
        const { against, twice = false, snapshots, forkAt, to, follow, stateEvery } = flags;
        if ((against === undefined) !== twice) throw notOneWay();
        if (follow === true && to !== undefined) throw noEnd();
        const machine = loadMachine(flags.machine);
        const signal = cli.interrupted();
        const options = {
          log: it,
          machine,
          against: against === undefined ? machine : loadMachine(against),
          signal,
          ...(snapshots !== undefined && { from: snapshotDirectory(snapshots) }),
          ...(forkAt !== undefined && { forkAt }),
          ...(stateEvery !== undefined && { stateEvery }),
        };
        const verdict = follow
          ? await followed(options, signal, output)
          : await replay({ ...options, ...(to !== undefined && { to }) });
        const { difference } = verdict;
        differs = difference !== undefined;
        const sides = [against ?? 'one instance', twice ? 'the other' : flags.machine] as const;
        const value = { topic: it.id, same: !differs, ...verdict };
        output.result(value, differs ? differenceLines(difference!, sides) : sameLine(verdict));
        if (differs) process.exitCode = DIFFERS;
      });
      if (process.exitCode === DIFFERS && !differs) process.exitCode = FAILED;
    });
}

/** What a shadow came to, when it ended or was to end. */
async function followed(
  options: Parameters<typeof startShadow>[0],
  signal: AbortSignal,
  output: Output,
): Promise<ReplayVerdict> {
  await using shadow = await startShadow(options);
  let status: ShadowStatus | undefined;
  const ended = new Promise<void>((resolve) => {
    shadow.status$.subscribe({
      next: (it) => {
        status = it;
      },
      complete: resolve,
    });
  });
  output.note(`comparing what comes after position ${status?.position}, until Ctrl-C`);
  const interrupted = new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
    if (signal.aborted) resolve(undefined);
  });
  await Promise.race([interrupted, ended]);
  const difference = await shadow.compare();
  const { commands, position } = status!;
  return { commands, position, ...(difference && { difference }) };
}

function sameLine({ commands, position }: ReplayVerdict): string {
  return `same: ${commands} commands up to position ${position}`;
}

function differenceLines(
  { kind, position, after, path, left, right, command }: ReplayDifference,
  [one, other]: readonly [string, string],
): string {
  const what = command === undefined ? '' : `, command ${jsonOf(command)}`;
  const since = kind === 'state' ? ` (the states were equal at ${after})` : '';
  return [
    `they differ at position ${position}${what}`,
    `${kind} at ${path}${since}`,
    `  ${one}: ${left}`,
    `  ${other}: ${right}`,
  ].join('\n');
}

function noEnd(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: '--follow goes on for as long as records come, and --to names the last one',
    next: 'give one of them',
  });
}

function notOneWay(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'a replay compares two versions, or two instances of one',
    next: 'give either --against or --twice',
  });
}
