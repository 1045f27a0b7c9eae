import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import type { Entry } from '../../log/index.ts';
import { atLeast, type Cli } from './cli-context.ts';

/** Lines from a pipe are appended in batches of at most this many. */
const LINES_PER_BATCH = 1_000;

/** `append`, `read`, `tail` and `trim`. */
export function addRecordCommands(program: Command, cli: Cli): void {
  program
    .command('append')
    .description('append texts as one batch, or each line of the standard input')
    .argument('<topic>', 'topic id', atLeast(1))
    .argument('[texts...]', 'records')
    .option('--log-stream <id>', 'append to this log stream only', atLeast(1))
    .action((topic: number, texts: string[], flags: { logStream?: number }) =>
      cli.withClient(async (varlog, output) => {
        const append = async (batch: string[]): Promise<void> => {
          const { glsn, llsn, logStream } = await varlog
            .topic(topic)
            .append(batch, flags.logStream === undefined ? {} : { logStream: flags.logStream });
          const last = glsn + batch.length - 1;
          output.result(
            { glsn, llsn, logStream, count: batch.length },
            batch.length === 1 ? `${glsn}` : `${glsn}..${last}`,
          );
        };
        if (texts.length > 0 || process.stdin.isTTY) return append(texts);
        for await (const lines of batchesOfLines()) await append(lines);
      }),
    );

  program
    .command('read')
    .description('print the records of a range; ends')
    .argument('<topic>', 'topic id', atLeast(1))
    .option('--from <glsn>', 'first record', atLeast(0), 1)
    .option('--to <glsn>', 'last record; the tail if left out', atLeast(0))
    .action((topic: number, flags: { from: number; to?: number }) =>
      cli.withClient(async (varlog, output) => {
        const signal = cli.interrupted();
        for await (const entry of varlog.topic(topic).read({ ...flags, signal })) {
          output.result(shown(entry), `${entry.glsn}\t${entry.text()}`);
        }
      }),
    );

  program
    .command('tail')
    .description('print records as they are appended; Ctrl-C ends it')
    .argument('<topic>', 'topic id', atLeast(1))
    .option('--from <position>', 'start, end or a GLSN', position, 'end')
    .action((topic: number, flags: { from: 'start' | 'end' | number }) =>
      cli.withClient(async (varlog, output) => {
        const tail = varlog.topic(topic).tail({ from: flags.from, signal: cli.interrupted() });
        const states = tail.status$.subscribe((status) => output.note(`[${status.state}]`));
        for await (const entry of tail) {
          output.result(shown(entry), `${entry.glsn}\t${entry.text()}`);
        }
        states.unsubscribe();
      }),
    );

  program
    .command('trim')
    .description('remove all records up to and including a position, for good')
    .argument('<topic>', 'topic id', atLeast(1))
    .argument('<glsn>', 'the last record to remove', atLeast(0))
    .action((topic: number, glsn: number) =>
      cli.withClient(async (varlog, output) => {
        await varlog.topic(topic).trim(glsn);
        output.result({ topic, trimmed: glsn }, `removed everything up to ${glsn}`);
      }),
    );
}

function shown(entry: Entry): object {
  return {
    glsn: entry.glsn,
    llsn: entry.llsn,
    logStream: entry.logStream,
    text: entry.text(),
  };
}

function position(text: string): 'start' | 'end' | number {
  if (text === 'start' || text === 'end') return text;
  const glsn = Number(text);
  if (Number.isSafeInteger(glsn) && glsn >= 1) return glsn;
  throw new InvalidArgumentError('It must be start, end or a GLSN, which is 1 or more.');
}

async function* batchesOfLines(): AsyncGenerator<string[]> {
  let batch: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    batch.push(line);
    if (batch.length < LINES_PER_BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
