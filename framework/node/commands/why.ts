import type { Command } from 'commander';
import { snapshotDirectory, why } from '../../smr/index.ts';
import { jsonOf } from '../output.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { loadMachine } from './load-machine.ts';

interface WhyFlags {
  machine: string;
  key: string;
  snapshots?: string;
  to?: number;
}

/** `why`: the entries that made a value of a state machine. */
export function addWhyCommand(program: Command, cli: Cli): void {
  program
    .command('why')
    .description('print the entries of a topic that made the value under a key of a state machine')
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .requiredOption(
      '--machine <file>',
      'module that exports it as `machine`; it has `inspect(key)`',
    )
    .requiredOption('--key <key>', 'as `inspect` takes it')
    .option('--snapshots <folder>', "begin with a replica's stored snapshot; the start if left out")
    .option('--to <glsn>', 'last record; the tail if left out', atLeast(1))
    .action((topic: TopicArgument, { key, snapshots, to, ...flags }: WhyFlags) =>
      cli.withTopic(topic, async (it, output) => {
        const causes = why({
          log: it,
          machine: loadMachine(flags.machine),
          key,
          signal: cli.interrupted(),
          ...(snapshots !== undefined && { from: snapshotDirectory(snapshots) }),
          ...(to !== undefined && { to }),
        });
        for await (const cause of causes) {
          const { position, time, command, value } = cause;
          const at = time === 0 ? '' : new Date(time).toISOString();
          const texts = [command, value].map(jsonOf);
          output.result(cause, [position, at, ...texts].join('\t'));
        }
      }),
    );
}
