import type { Command } from 'commander';
import type { TopicHold } from '../../log/index.ts';
import { table } from '../output.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { showFences } from './fence.ts';
import {
  addRetentionOptions,
  addTopicUpdate,
  type RetentionFlags,
  retentionOf,
  showRetention,
} from './retention.ts';

/** `topic …`: what concerns one topic as a whole. */
export function addTopicCommands(program: Command, cli: Cli): void {
  const topic = program
    .command('topic')
    .description('make, list, describe, change and delete topics, release holds');

  topic
    .command('ls')
    .description('list the topics')
    .action(() =>
      cli.withClient(async (varlog, output) => {
        const topics = await varlog.topics();
        output.result(
          topics,
          table(
            ['TOPIC', 'LOG STREAMS'],
            topics.map((it) => [it.id, it.logStreams.map((stream) => stream.id).join(', ')]),
          ),
        );
      }),
    );

  addRetentionOptions(
    topic
      .command('create')
      .description('make a topic')
      .option('--log-streams <count>', 'log streams', atLeast(1), 1),
  ).action(({ logStreams, ...flags }: RetentionFlags & { logStreams: number }) =>
    cli.withClient(async (varlog, output) => {
      const retention = retentionOf(flags);
      const isLimited = Object.keys(retention).length > 0;
      const made = await varlog.createTopic({ logStreams, ...(isLimited && { retention }) });
      output.result({ id: made.id }, `made topic ${made.id}`);
    }),
  );
  addTopicUpdate(topic, cli);

  topic
    .command('describe')
    .description('show the log streams and positions of a topic')
    .argument('[topic]', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .action((argument: TopicArgument | undefined) =>
      cli.withTopic(argument, async (topic, output) => {
        const { id } = topic;
        const { first, last } = await topic.watermarks();
        const { logStreams, holds, retention, fence, fences } = await topic.describe();
        output.result(
          { id, first, last, logStreams, holds, retention, fence, fences },
          [
            `topic ${id}: records ${first} to ${last}; keeps ${showRetention(retention)}`,
            table(
              ['LOG STREAM', 'STATE', 'REPLICAS (PRIMARY FIRST)'],
              logStreams.map((it) => [it.id, it.state, it.replicas.join(', ')]),
            ),
            ...(holds.length === 0 ? [] : [holdTable(holds)]),
            ...showFences(fence, fences),
          ].join('\n'),
        );
      }),
    );

  topic
    .command('release')
    .description('let records be trimmed that a consumer held and which is gone for good')
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .argument('<holder>', 'who held them, as "topic describe" shows it')
    .action((argument: TopicArgument, holder: string) =>
      cli.withTopic(argument, async (topic, output) => {
        await topic.release(holder);
        output.result({ topic: topic.id, released: holder }, `released what "${holder}" held`);
      }),
    );
  addDeletion(topic, cli);
}

function holdTable(holds: readonly TopicHold[]): string {
  return table(
    ['HOLDER', 'NEEDS THE RECORDS BEHIND'],
    holds.map((it) => [it.isConsumer ? `consumer "${it.holder}"` : it.holder, it.position]),
  );
}

function addDeletion(topic: Command, cli: Cli): void {
  topic
    .command('delete')
    .description('delete a topic; "topic restore" brings it back for a day')
    .argument('<topic>', 'topic id', atLeast(1))
    .action((id: number) =>
      cli.withClient(async (varlog, output) => {
        await varlog.deleteTopic(id);
        output.result({ id }, `deleted topic ${id}`);
      }),
    );

  topic
    .command('restore')
    .description('bring back a topic that was deleted, with its records')
    .argument('<topic>', 'topic id', atLeast(1))
    .action((id: number) =>
      cli.withClient(async (varlog, output) => {
        await varlog.restoreTopic(id);
        output.result({ id }, `topic ${id} is back`);
      }),
    );
}
