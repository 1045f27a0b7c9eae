import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import { skipCommand } from '../../smr/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { checkMachine } from './known-machine.ts';

interface SkipOptions {
  readonly name: string;
  readonly timer?: number;
}

/** `skip`: the way past a command that no replica of a state machine can apply. */
export function addSkipCommand(program: Command, cli: Cli): void {
  program
    .command('skip')
    .description('order all replicas of a state machine to pass over a command (APPLY_FAILED)')
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .argument('<position>', 'of the command, as the failed replicas name it', atLeast(1))
    .option('--name <machine>', 'name of the state machine, as its replicas have it', 'machine')
    .option(
      '--timer <id>',
      'the command of a timer that is due there, where they name one',
      atLeast(1),
    )
    .action((topic: TopicArgument, position: number, { name, timer }: SkipOptions) =>
      cli.withTopic(topic, async (it, output) => {
        const order = await skipCommand(it, position, { name, timer }).catch(async (error) => {
          // Nothing is there for a machine that there is not.
          if (VarlogError.is(error, 'INVALID_ARGUMENT'))
            await checkMachine(it, name, { signal: cli.interrupted() });
          throw error;
        });
        output.result(
          { topic: it.id, name, skipped: position, timer, order },
          `replicas of "${name}" pass over ${timer === undefined ? '' : `timer ${timer} at `}position ${position}, by the order at ${order}: start those that stopped again`,
        );
      }),
    );
}
