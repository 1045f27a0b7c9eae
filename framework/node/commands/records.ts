import type { Command } from 'commander';
import { reasonOf, VarlogError } from '../../base/index.ts';
import type { Entry, SubscriptionStatus } from '../../log/index.ts';
import type { Output } from '../output.ts';
import { atomicParts } from './atomic-parts.ts';
import { beginOf, positionArgument, SINCE_HELP } from './begin.ts';
import { atLeast, type Cli, type TopicArgument, topicArgument } from './cli-context.ts';
import { addExpectOptions, type ExpectFlags, expectationOf } from './expect.ts';
import { durationOf } from './quantity.ts';
import { receiptLines } from './receipt-lines.ts';
import { fieldsOf, fieldTexts, headerArgument, timeArgument } from './record-fields.ts';
import { fromBase64, type RecordFormat, recordBatches } from './record-input.ts';
import { explainUsage } from './retention.ts';

const TOPIC_HELP = 'topic id, or varlog://host:port,host:port/topic';

interface TrimFlags {
  force?: boolean;
  explain?: boolean;
}
const HEADERS_HELP = 'also time, key and headers of each record';

interface FormatFlags {
  binary?: boolean;
  base64?: boolean;
}

interface AppendFlags extends FormatFlags, ExpectFlags {
  logStream?: number;
  producer?: number;
  atomic?: boolean;
  receipt?: boolean;
  header?: readonly (readonly [string, string])[];
}

interface ReadFlags extends FormatFlags {
  since?: number;
  headers?: boolean;
}

interface RangeFlags extends ReadFlags {
  from?: number;
  to?: number;
  atLeast?: number;
  stale?: boolean;
  wait?: number;
}

/** `append`, `read`, `tail` and `trim`. */
export function addRecordCommands(program: Command, cli: Cli): void {
  addAppend(program, cli);

  addRead(program, cli);

  program
    .command('tail')
    .description('print records as they are appended; Ctrl-C ends it')
    .argument('[topic]', TOPIC_HELP, topicArgument)
    .option('--from <position>', 'start, end or a GLSN; end if left out', positionArgument)
    .option('--since <time>', SINCE_HELP, timeArgument)
    .option('--headers', HEADERS_HELP)
    .option('--binary', 'the bytes of the records, with nothing between them')
    .option('--base64', 'records in base64')
    .action(
      (topic: TopicArgument | undefined, flags: ReadFlags & { from?: 'start' | 'end' | number }) =>
        cli.withTopic(topic, async (it, output) => {
          const print = printer(flags, output);
          const tail = it.tail({ from: beginOf(flags) ?? 'end', signal: cli.interrupted() });
          tail.status$.subscribe((status) => output.note(`[${status.state}${causeOf(status)}]`));
          for await (const entry of tail) print(entry);
        }),
    );

  program
    .command('trim')
    .description('remove all records up to and including a position, for good')
    .argument('<topic>', TOPIC_HELP, topicArgument)
    .argument('[glsn]', 'the last record to remove', atLeast(0))
    .option('--force', 'also records that a consumer still needs: see "topic describe"')
    .option('--explain', 'remove nothing; say who keeps how many bytes')
    .action((topic: TopicArgument, glsn: number | undefined, flags: TrimFlags) =>
      cli.withTopic(topic, async (it, output) => {
        const { force = false, explain = false } = flags;
        if (explain) {
          const usage = await it.usage();
          output.result({ topic: it.id, ...usage }, explainUsage(it.id, usage));
          return;
        }
        if (glsn === undefined) throw unusable('the last record to remove is missing', 'a GLSN');
        await it.trim(glsn, { force });
        output.result({ topic: it.id, trimmed: glsn }, `removed everything up to ${glsn}`);
      }),
    );
}

function addRead(program: Command, cli: Cli): void {
  program
    .command('read')
    .description('print the records of a range; ends')
    .argument('[topic]', TOPIC_HELP, topicArgument)
    .option(
      '--from <glsn>',
      'first record; without it, the first one that was not trimmed',
      atLeast(0),
    )
    .option('--since <time>', SINCE_HELP, timeArgument)
    .option('--to <glsn>', 'last record; the tail if left out', atLeast(0))
    .option(
      '--at-least <glsn>',
      'from any replica that has come so far, which is waited for: reads what one has appended oneself',
      atLeast(1),
    )
    .option('--stale', 'from any replica, as much as that one knows; linearizable if left out')
    .option(
      '--wait <time>',
      'give up after so long where no replica has come so far, or none can be read',
      durationOf,
    )
    .option('--headers', HEADERS_HELP)
    .option('--binary', 'the bytes of the records, with nothing between them')
    .option('--base64', 'records in base64')
    .action((topic: TopicArgument | undefined, flags: RangeFlags) =>
      cli.withTopic(topic, async (it, output) => {
        const print = printer(flags, output);
        const { to, atLeast, stale, wait } = flags;
        const range = {
          from: beginOf(flags) ?? ('start' as const),
          ...(to !== undefined && { to }),
          ...(atLeast !== undefined && { atLeast }),
          ...(stale && { consistency: 'stale' as const }),
          ...(wait !== undefined && { timeoutMs: wait }),
          signal: cli.interrupted(),
        };
        const reading = it.read(range);
        reading.status$.subscribe(noteTrouble(output));
        for await (const entry of reading) print(entry);
      }),
    );
}

function addAppend(program: Command, cli: Cli): void {
  const command = program
    .command('append')
    .description('append texts as one batch, or each line of the standard input as it comes')
    .argument('[topic]', TOPIC_HELP, topicArgument)
    .argument('[texts...]', 'records')
    .option('--log-stream <id>', 'append to this log stream only', atLeast(1))
    .option(
      '--producer <id>',
      'append exactly once: batches of which the outcome is not known are repeated, and stored once',
      atLeast(0),
    )
    .option('--atomic', 'texts are LOG_STREAM=TEXT: all of them are appended, or none')
    .option('--key <key>', 'key of each record')
    .option('--header <name=value>', 'header of each record; may be given again', headerArgument)
    .option('--receipt', 'also where the time of each append went')
    .option('--binary', 'the standard input is one record, byte for byte')
    .option('--base64', 'texts or lines are records in base64');
  addExpectOptions(command).action(
    (topic: TopicArgument | undefined, texts: string[], flags: AppendFlags) =>
      cli.withTopic(topic, async (it, output) => {
        const format = formatOf(flags);
        const { logStream: chosen, producer: id, key, header, receipt = false } = flags;
        if (chosen !== undefined && id !== undefined) {
          throw unusable('--log-stream and --producer exclude each other', 'one of them');
        }
        const expectation = expectationOf(flags, texts.length > 0);
        const attributes = {
          ...(key === undefined ? {} : { key }),
          ...(header === undefined ? {} : { headers: header }),
        };
        if (flags.atomic) {
          const isOfOne =
            chosen !== undefined || id !== undefined || receipt || 'expect' in expectation;
          if (isOfOne) {
            const what =
              '--atomic excludes --log-stream, --producer, --receipt and what an append expects';
            throw unusable(what, 'LOG_STREAM=TEXT for each text');
          }
          const parts = atomicParts(texts, format);
          const acks = await it.appendAtomically(parts.map((part) => ({ ...part, ...attributes })));
          for (const ack of acks) output.result({ ...ack }, `${ack.logStream}\t${rangeOf(ack)}`);
          return;
        }
        const expecting = { ...attributes, ...expectation, receipt };
        const options = chosen === undefined ? expecting : { ...expecting, logStream: chosen };
        const producer = id === undefined ? undefined : await it.producer({ id });
        const append = async (batch: readonly (string | Uint8Array)[]): Promise<void> => {
          const ack = await (producer?.append(batch, expecting) ?? it.append(batch, options));
          const lines = ack.receipt === undefined ? [] : receiptLines(ack.receipt);
          output.result({ ...ack }, [rangeOf(ack), ...lines].join('\n'));
        };
        if (texts.length > 0) {
          if (format === 'binary') {
            throw unusable('--binary is about the standard input, not about texts', '--base64');
          }
          return append(format === 'base64' ? texts.map(fromBase64) : texts);
        }
        if (process.stdin.isTTY) return append([]);
        for await (const batch of recordBatches(process.stdin, format)) await append(batch);
      }),
  );
}

function rangeOf({ glsn, count }: { glsn: number; count: number }): string {
  return count === 1 ? `${glsn}` : `${glsn}..${glsn + count - 1}`;
}

function formatOf({ binary, base64 }: FormatFlags): RecordFormat {
  if (binary && base64) throw unusable('--binary and --base64 exclude each other', 'one of them');
  if (binary) return 'binary';
  return base64 ? 'base64' : 'text';
}

/** Writes records in the way that was asked for. */
function printer(flags: ReadFlags, output: Output): (entry: Entry) => void {
  const format = formatOf(flags);
  if (format === 'binary') {
    if (output.isJson) throw unusable('--binary and --json exclude each other', '--base64');
    if (flags.headers) throw unusable('--binary and --headers exclude each other', '--base64');
    return (entry) => output.bytes(entry.bytes);
  }
  return (entry) => {
    const { glsn, llsn, logStream } = entry;
    const payload = format === 'text' ? entry.text() : Buffer.from(entry.bytes).toString('base64');
    const fields = flags.headers ? fieldsOf(entry) : {};
    const texts = flags.headers ? fieldTexts(entry) : [];
    output.result(
      { glsn, llsn, logStream, ...fields, [format]: payload },
      [glsn, ...texts, payload].join('\t'),
    );
  };
}

/** Says once why records do not come, for each reason. */
function noteTrouble(output: Output): (status: SubscriptionStatus) => void {
  let last = '';
  return (status) => {
    const cause = causeOf(status);
    if (status.state === 'reconnecting' && cause !== last) output.note(`[${status.state}${cause}]`);
    if (status.state !== 'closed') last = cause;
  };
}

function causeOf(status: SubscriptionStatus): string {
  return status.state === 'reconnecting' ? `: ${reasonOf(status.cause)}` : '';
}

function unusable(what: string, instead: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next: `use ${instead}` });
}
