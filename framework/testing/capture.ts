import {
  attributesOf,
  type Codec,
  checkNames,
  decodeBatch,
  type Headers,
  type LogEntry,
} from '../base/index.ts';
import { type ExportedBatch, type ExportHeader, readExport } from '../log/client/export-format.ts';
import { jsonCodec } from '../smr/codecs.ts';
import { EnvelopeReader } from '../smr/envelope.ts';
import { tagOf } from '../smr/log-identity.ts';

/** A record of a captured stretch, at the position that it had. */
export interface CapturedEntry extends LogEntry {
  /** When it was appended, in milliseconds since 1970; 0 where that is not known. */
  readonly timestamp: number;
  readonly logStream: number;
  readonly headers: Headers | undefined;
}

/** A stretch of a real topic as the input of a test: what `varlog capture` wrote. See {@link readCapture}. */
export class Capture {
  /** Which topic it is of: replicas on a log that is made from it take its commands for theirs. */
  readonly identity: string;
  /** Position of the first entry, or of the next one where there is none. */
  readonly first: number;
  readonly entries: readonly CapturedEntry[];

  /** Made by {@link readCapture}. */
  constructor({ identity, first }: ExportHeader, entries: readonly CapturedEntry[]) {
    this.identity = identity;
    this.first = first;
    this.entries = entries;
  }

  /**
   * The commands of a replicated machine in it, in their order: for `given`, `checkReplay` and `checkSnapshots`. One that
   * was sent several times is there once. `name` and `codec` are those of the machine's replicas.
   */
  commands<Command>(options: { name?: string; codec?: Codec<Command> } = {}): Command[] {
    checkNames<object>(options, { name: true, codec: true }, 'commands');
    const { name = 'machine', codec = jsonCodec<Command>() } = options;
    const envelope = new EnvelopeReader(tagOf({ log: this.identity, machine: name }));
    const seen = new Set<string>();
    const commands: Command[] = [];
    for (const { command, position } of this.entries) {
      envelope.read(command, position);
      if (envelope.kind !== 'command') continue;
      const { requestId, session, sequence } = envelope;
      const own =
        requestId.length > 0 ? Buffer.from(requestId).toString('hex') : `${session}/${sequence}`;
      if (seen.has(own)) continue;
      seen.add(own);
      commands.push(codec.decode(envelope.command));
    }
    return commands;
  }
}

/**
 * Reads what `varlog capture` or `varlog export` wrote, from its bytes or a stream of them. Rejects with `CORRUPT` where
 * it is damaged or cut off, and with `FORMAT_UNKNOWN` where a later version wrote it.
 *
 * ```ts
 * const capture = await readCapture(await readFile('incident.varlog'));
 * checkReplay(Counter, capture.commands<{ add: number }>());
 * const log = MemoryLog.from(capture); // the same records at the same positions
 * ```
 */
export async function readCapture(
  source: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<Capture> {
  const entries: CapturedEntry[] = [];
  let header: ExportHeader | undefined;
  for await (const part of readExport(source instanceof Uint8Array ? once(source) : source)) {
    if (part.kind === 'header') ({ header } = part.at);
    else if (part.kind === 'batch') entries.push(...entriesOf(part.batch));
  }
  return new Capture(header!, entries);
}

function entriesOf(batch: ExportedBatch): CapturedEntry[] {
  const { glsn, timestamp, logStream } = batch;
  const { recordHeaders } = attributesOf(batch);
  return decodeBatch(batch).map((command, i) => {
    return { position: glsn + i, timestamp, logStream, command, headers: recordHeaders?.get(i) };
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
