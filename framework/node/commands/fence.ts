import type { Command } from 'commander';
import type { LogStreamFence } from '../../log/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';

/** `fence`. */
export function addFenceCommand(program: Command, cli: Cli): void {
  program
    .command('fence')
    .description(
      'take over a topic: appends that carry an older fencing token are refused from now on',
    )
    .argument('<topic>', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .argument('[token]', 'a number; one higher than all before if left out', atLeast(1))
    .option('--log-stream <id>', 'fence this log stream only', atLeast(1))
    .action((argument: TopicArgument, token: number | undefined, flags: { logStream?: number }) =>
      cli.withTopic(argument, async (topic, output) => {
        const { logStream } = flags;
        const set = await topic.fence({ ...(token !== undefined && { token }), ...flags });
        const what = logStream === undefined ? `topic ${topic.id}` : `log stream ${logStream}`;
        output.result(
          { topic: topic.id, ...flags, token: set },
          `${what} is fenced by token ${set}: append with --expect-fence ${set}`,
        );
      }),
    );
}

/** By which tokens a topic is fenced, for people; nothing where it never was. */
export function showFences(fence: number, fences: readonly LogStreamFence[]): string[] {
  return [
    ...(fence === 0 ? [] : [`fenced by token ${fence}`]),
    ...fences.map((it) => `log stream ${it.logStream} is fenced by token ${it.token}`),
  ];
}
