import type { Command } from 'commander';
import { skipCommand } from '../../smr/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';

/** `skip`: the way past a command that no replica of a state machine can apply. */
export function addSkipCommand(program: Command, cli: Cli): void {
  program
    .command('skip')
    .description('order all replicas of a state machine to pass over a command (APPLY_FAILED)')
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .argument('<position>', 'of the command, as the failed replicas name it', atLeast(1))
    .option('--name <machine>', 'name of the state machine, as its replicas have it', 'machine')
    .action((topic: TopicArgument, position: number, { name }: { name: string }) =>
      cli.withTopic(topic, async (it, output) => {
        const order = await skipCommand(it, position, { name });
        output.result(
          { topic: it.id, name, skipped: position, order },
          `replicas of "${name}" pass over position ${position}, by the order at ${order}: start those that stopped again`,
        );
      }),
    );
}
