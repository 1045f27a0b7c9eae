import { attributesOf, decodeBatch, encodeBatch, VarlogError } from '../../base/index.ts';
import type { CallLimits } from './call-limit.ts';
import {
  beginOfExport,
  type ExportedBatch,
  type ExportProgress,
  type ExportSummary,
  endOfExport,
  exportBatch,
  readExport,
  summaryOf,
} from './export-format.ts';

/** What is exported: a topic, whatever its records are taken for. */
interface Exported {
  readonly id: number;
  readonly identity: string;
  watermarks(limits: CallLimits): Promise<{ first: number; last: number }>;
  read(range: { from: number; to: number; signal?: AbortSignal }): {
    batches(): AsyncIterable<ExportedBatch>;
  };
}

export interface ExportOptions {
  /** The first GLSN. Default: the first one that is there. Of one that is continued, the one that it began with. */
  from?: number;
  /** The last GLSN, included. Default: the last one that is there when it begins. */
  to?: number;
  /** Goes on behind what an interrupted export left, as {@link resumableExport} found it. */
  resume?: ExportProgress;
  signal?: AbortSignal;
}

/**
 * A topic as the bytes of a file that {@link Varlog.importTopic} reads: to be iterated once, and whole only when the
 * iteration has ended. The bytes are read no faster than they are taken. Rejects as {@link Topic.read} does.
 */
export class TopicExport implements AsyncIterable<Uint8Array> {
  private readonly topic: Exported;
  private readonly options: ExportOptions;
  private found: ExportSummary | undefined;

  constructor(topic: Exported, options: ExportOptions) {
    this.topic = topic;
    this.options = options;
  }

  /** What was exported. Throws `FAILED_PRECONDITION` before the iteration has ended. */
  get summary(): ExportSummary {
    if (this.found !== undefined) return this.found;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: 'this export is not through',
      next: 'iterate over it to its end first',
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const { topic, options } = this;
    const { first: head, last } = await topic.watermarks(
      options.signal === undefined ? {} : { signal: options.signal },
    );
    const first = options.from ?? head;
    const to = options.to ?? last;
    let at: ExportProgress;
    if (options.resume === undefined) {
      const begin = beginOfExport({ identity: topic.identity, topicId: topic.id, first });
      at = begin.at;
      yield begin.bytes;
    } else {
      at = checkedResume(options.resume, topic);
    }
    if (to > last || first > last + 1) {
      throw new VarlogError('BEYOND_TAIL', {
        what: `topic ${topic.id} ends at ${last}, before ${to > last ? to : first}`,
        next: 'export up to its last record, or append first',
      });
    }
    if (at.last > to) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `what is to be continued goes up to ${at.last}, beyond ${to}`,
        next: 'export to another file',
      });
    }
    if (at.last < to) {
      const { signal } = options;
      const range = { from: at.last + 1, to, ...(signal === undefined ? {} : { signal }) };
      for await (const batch of topic.read(range).batches()) {
        const next = exportBatch(at, byItself(batch));
        yield* next.bytes;
        at = next.at;
      }
    }
    yield endOfExport(at);
    this.found = summaryOf(at);
  }
}

/**
 * Who appended a batch, and together with which others, is said to the cluster that took it: another one would take it
 * for a repetition, or wait for the others.
 */
function byItself(batch: ExportedBatch): ExportedBatch {
  const { glsn, timestamp, logStream } = batch;
  const { producer, atomic, ...attributes } = attributesOf(batch);
  const isByItself = producer === undefined && atomic === undefined;
  const { count, bytes } = isByItself ? batch : encodeBatch(decodeBatch(batch), attributes);
  return { glsn, timestamp, logStream, count, bytes };
}

function checkedResume(resume: ExportProgress, { identity }: Exported): ExportProgress {
  if (resume.header.identity === identity) return resume;
  throw new VarlogError('IDENTITY_MISMATCH', {
    what: `what is to be continued is an export of ${resume.header.identity}, not of ${identity}`,
    next: 'export to another file',
  });
}

/**
 * What of an interrupted export can be continued: everything before `progress.bytes`, behind which the file is to be cut.
 * `undefined`: nothing; `'whole'`: it is through. Throws `FORMAT_UNKNOWN` where a later version wrote it.
 */
export async function resumableExport(
  source: AsyncIterable<Uint8Array>,
): Promise<ExportProgress | 'whole' | undefined> {
  let progress: ExportProgress | undefined;
  try {
    for await (const part of readExport(source)) {
      if (part.kind === 'end') return 'whole';
      progress = part.at;
    }
  } catch (error) {
    if (!VarlogError.is(error, 'CORRUPT')) throw error;
  }
  return progress;
}

/**
 * Checks an export from its first to its last byte. Rejects with `CORRUPT`, and in `details` the byte and the position
 * where it is damaged or cut off, or with `FORMAT_UNKNOWN`.
 */
export async function checkExport(source: AsyncIterable<Uint8Array>): Promise<ExportSummary> {
  for await (const part of readExport(source)) if (part.kind === 'end') return part.summary;
  throw new VarlogError('CORRUPT', { what: 'the export of a topic has no end' });
}
