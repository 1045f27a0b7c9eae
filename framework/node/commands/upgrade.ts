import type { Command } from 'commander';
import { type Topic, VarlogError } from '../../log/index.ts';
import { isMachineInLog, upgradeRules } from '../../smr/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';

/** Who holds records for a machine: its name, and the place of its state. */
const MACHINE = /^machine (.+) \S+$/s;

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
        if (!force) await checkMachine(it, name, cli.interrupted());
        const position = await upgradeRules(it, rules, { name });
        output.result(
          { topic: it.id, name, rules, position },
          `replicas of "${name}" apply what follows position ${position} by rules ${rules}, or by higher ones that are in force already; where none knows them, "varlog skip" takes it back`,
        );
      }),
    );
}

/** A name that was mistyped must not look like an upgrade that was done. */
async function checkMachine(topic: Topic, name: string, signal: AbortSignal): Promise<void> {
  const { holds } = await topic.describe({ signal });
  const holding = new Set(holds.flatMap(({ holder }) => MACHINE.exec(holder)?.[1] ?? []));
  if (holding.has(name) || (await isMachineInLog(topic, { name, signal }))) return;
  const names = [...holding].map((it) => `"${it}"`).join(', ');
  throw new VarlogError('NOT_FOUND', {
    what: `topic ${topic.id} has nothing of a state machine "${name}"`,
    because:
      names === ''
        ? 'no replica has written or kept anything in it under that name'
        : `those that keep records of it are ${names}`,
    next: 'give the name that its replicas were started with, or --force before its first command',
    outcome: 'notAppended',
  });
}
