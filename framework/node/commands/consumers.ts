import type { Command } from 'commander';
import { type ConsumerDescription, type Topic, VarlogError } from '../../log/index.ts';
import { table } from '../output.ts';
import { beginOf, positionArgument, SINCE_HELP } from './begin.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { timeArgument } from './record-fields.ts';

const TOPIC_HELP = 'topic id, or varlog://host:port,host:port/topic';

/** `consumer …`: who works on a topic, how far that is, and what it has put aside. */
export function addConsumerCommands(program: Command, cli: Cli): void {
  const consumer = program
    .command('consumer')
    .description('list, add and remove consumers; show, replay and drop what they have parked');

  consumer
    .command('ls')
    .description('list the consumers of a topic, running or not')
    .argument('[topic]', TOPIC_HELP, topicArgument)
    .action((argument: TopicArgument | undefined) =>
      cli.withTopic(argument, async (topic, output) => {
        const consumers = await topic.consumers.list();
        output.result(
          consumers.map(({ parked, ...it }) => ({ ...it, parked: parked.length })),
          table(
            ['CONSUMER', 'POSITION', 'LAG', 'PARKED', 'EPOCH'],
            consumers.map((it) => [it.name, it.position, it.lag, it.parked.length, it.epoch]),
          ),
        );
      }),
    );

  addAddition(consumer, cli);

  consumer
    .command('parked')
    .description('show the records that a consumer has put aside, and why')
    .argument('<topic>', TOPIC_HELP, topicArgument)
    .argument('<name>', 'name of the consumer')
    .action((argument: TopicArgument, name: string) =>
      cli.withTopic(argument, async (topic, output) => {
        const { parked } = await consumerOf(topic, name);
        output.result(
          parked,
          table(
            ['GLSN', 'SINCE', 'ATTEMPTS', 'STATE', 'CAUSE'],
            parked.map(({ glsn, at, attempts, replay, cause }) => [
              glsn,
              new Date(at).toISOString(),
              attempts,
              replay ? 'to be replayed' : 'parked',
              cause.replaceAll(/\s+/g, ' '),
            ]),
          ),
        );
      }),
    );

  addDecision(consumer, cli, {
    command: 'replay',
    description: 'give parked records to their consumer once more, where it runs or when it starts',
    said: 'to be replayed',
  });
  addDecision(consumer, cli, {
    command: 'drop',
    description: 'give parked records up: they are not done',
    said: 'dropped',
  });

  consumer
    .command('rm')
    .description('forget a consumer that is gone for good: records are no longer kept for it')
    .argument('<topic>', TOPIC_HELP, topicArgument)
    .argument('<name>', 'name of the consumer')
    .action((argument: TopicArgument, name: string) =>
      cli.withTopic(argument, async (topic, output) => {
        await topic.consumers.remove(name);
        output.result({ topic: topic.id, removed: name }, `removed consumer "${name}"`);
      }),
    );
}

function addAddition(consumer: Command, cli: Cli): void {
  consumer
    .command('add')
    .description(
      'register a consumer before it runs for the first time: records are kept for it from there on, and it begins there',
    )
    .argument('<topic>', TOPIC_HELP, topicArgument)
    .argument('<name>', 'name of the consumer')
    .option('--from <position>', 'start, end or a GLSN; start if left out', positionArgument)
    .option('--since <time>', SINCE_HELP, timeArgument)
    .action(
      (
        argument: TopicArgument,
        name: string,
        flags: { from?: 'start' | 'end' | number; since?: number },
      ) =>
        cli.withTopic(argument, async (topic, output) => {
          await topic.consumers.add(name, { from: beginOf(flags) ?? 'start' });
          const { position } = await consumerOf(topic, name);
          output.result(
            { topic: topic.id, added: name, position },
            `added consumer "${name}", which begins with record ${position + 1}`,
          );
        }),
    );
}

function addDecision(
  consumer: Command,
  cli: Cli,
  { command, description, said }: { command: 'replay' | 'drop'; description: string; said: string },
): void {
  consumer
    .command(command)
    .description(description)
    .argument('<topic>', TOPIC_HELP, topicArgument)
    .argument('<name>', 'name of the consumer')
    .argument('[glsns...]', 'which of them, as "consumer parked" shows them', (text, before) => [
      ...((before as readonly number[] | undefined) ?? []),
      atLeast(1)(text),
    ])
    .option('--all', 'all that it has parked')
    .action(
      (
        argument: TopicArgument,
        name: string,
        glsns: readonly number[] | undefined,
        { all = false }: { all?: boolean },
      ) =>
        cli.withTopic(argument, async (topic, output) => {
          const named = glsns ?? [];
          if (named.length > 0 === all) {
            throw new VarlogError('INVALID_ARGUMENT', {
              what: 'it is not said which records are meant',
              next: 'give their GLSNs, or --all',
            });
          }
          const count = await topic.consumers[command](name, all ? 'all' : named);
          output.result(
            { topic: topic.id, consumer: name, [command]: count },
            `${count} ${count === 1 ? 'record is' : 'records are'} ${said}`,
          );
        }),
    );
}

async function consumerOf(topic: Topic, name: string): Promise<ConsumerDescription> {
  const consumers = await topic.consumers.list();
  const found = consumers.find((it) => it.name === name);
  if (found !== undefined) return found;
  throw new VarlogError('NOT_FOUND', {
    what: `topic ${topic.id} has no consumer "${name}"`,
    because:
      consumers.length === 0
        ? 'it has no consumers at all'
        : `it has: ${consumers.map((it) => it.name).join(', ')}`,
    next: `see "varlog consumer ls ${topic.id}"`,
  });
}
