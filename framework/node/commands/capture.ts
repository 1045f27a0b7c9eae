import type { Command } from 'commander';
import { VarlogError } from '../../base/index.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';

interface CaptureFlags {
  around: number;
  records: number;
}

/** `capture`: a stretch of a topic as the input of a test. */
export function addCaptureCommand(program: Command, cli: Cli): void {
  program
    .command('capture')
    .description(
      'write the records around a position to the standard output, as the input of a test: readCapture() of varlog/testing reads it',
    )
    .argument('[topic]', 'topic id, or varlog://host:port,host:port/topic', topicArgument)
    .requiredOption('--around <glsn>', 'the record that it is about', atLeast(1))
    .option('--records <count>', 'so many before it, and so many behind it', atLeast(0), 100)
    .action((argument: TopicArgument | undefined, { around, records }: CaptureFlags) =>
      cli.withTopic(argument, async (topic, output) => {
        if (output.isJson) {
          throw new VarlogError('INVALID_ARGUMENT', {
            what: 'a capture is bytes, and --json was given',
            next: 'leave it out, or use "varlog read --base64 --json"',
          });
        }
        const signal = cli.interrupted();
        const { first, last } = await topic.watermarks({ signal });
        const from = Math.max(Math.min(first, around), around - records);
        const to = Math.max(around, Math.min(last, around + records));
        const made = topic.export({ from, to, signal });
        for await (const chunk of made) output.bytes(chunk);
        output.note(`captured ${made.summary.records} records, ${from} to ${to}`);
      }),
    );
}
