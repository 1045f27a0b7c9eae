import type { Command } from 'commander';
import { atLeast, type Cli } from './cli-context.ts';

/** `log-stream …`: what concerns one shard of a topic. */
export function addLogStreamCommands(program: Command, cli: Cli): void {
  const logStream = program
    .command('log-stream')
    .description('choose which replica of a log stream is its primary');

  logStream
    .command('prefer')
    .description(
      'let a replica be the primary whenever the log stream opens from now on, where it is up and holds all records',
    )
    .argument('<log-stream>', 'log stream id, as "topic describe" shows it', atLeast(1))
    .argument('<node>', 'storage node id of the replica', atLeast(1))
    .action((id: number, node: number) =>
      cli.withClient(async (varlog, output) => {
        await varlog.preferPrimary(id, node);
        output.result(
          { id, preferred: node },
          `log stream ${id} has its primary on storage node ${node} whenever it opens from now on`,
        );
      }),
    );
}
