import type { Command } from 'commander';
import { upgradeRules } from '../../smr/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { checkMachine } from './known-machine.ts';

interface Flags {
  readonly name: string;
  readonly force?: boolean;
}

/** `upgrade`: puts a version of a state machine's rules into force. */
export function addUpgradeCommand(program: Command, cli: Cli): void {
  program
    .command('upgrade')
    .description(
      'have all replicas of a state machine apply what follows by a version of its rules; those whose code does not know it stop',
    )
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .argument('<rules>', 'the version, which the code of all replicas must know', atLeast(1))
    .option('--name <machine>', 'name of the state machine, as its replicas have it', 'machine')
    .option(
      '--force',
      'also where nothing of a machine of that name is known: before its first command',
    )
    .action((topic: TopicArgument, rules: number, { name, force = false }: Flags) =>
      cli.withTopic(topic, async (it, output) => {
        const orForce = ', or --force before its first command';
        if (!force) await checkMachine(it, name, { signal: cli.interrupted(), orElse: orForce });
        const position = await upgradeRules(it, rules, { name });
        output.result(
          { topic: it.id, name, rules, position },
          `replicas of "${name}" apply what follows position ${position} by rules ${rules}, or by higher ones that are in force already; where none knows them, "varlog skip" takes it back`,
        );
      }),
    );
}
