import { type LogStreamId, VarlogError } from '../../base/index.ts';
import type { CallLimits } from './call-limit.ts';
import type { ClientContext } from './client-context.ts';
import { type ExportSummary, readExport } from './export-format.ts';
import { checkExport } from './export-topic.ts';
import type { Topic } from './topic.ts';

/** Batches under way at once, and their bytes: the next ones wait. */
const BATCHES_MAX = 256;
const BYTES_MAX = 8 * 1024 * 1024;
const APPEND_TIMEOUT_MS = 30_000;

/** How a topic was made of an export. */
export interface ImportedTopic extends ExportSummary {
  readonly topic: Topic;
  /** GLSN in the topic that was exported, minus GLSN in the new one. 0: every record has the position that it had. */
  readonly shift: number;
}

/** What an import needs of the client. */
export interface ImportTarget {
  readonly context: ClientContext;
  /** Makes the topic, with one log stream. */
  create(first: number | undefined): Promise<Topic>;
  remove(topic: Topic): Promise<void>;
}

/** Does what {@link Varlog.importTopic} says. */
export async function importTopic(
  { context, create, remove }: ImportTarget,
  open: () => AsyncIterable<Uint8Array>,
  { signal }: CallLimits,
): Promise<ImportedTopic> {
  const summary = await checkExport(open());
  signal?.throwIfAborted();
  const { topic, shift } = await createAt(summary.first, create);
  try {
    const [logStream] = (await topic.describe()).logStreams;
    const appends = new OrderedAppends(context, topic, logStream!.id, summary.first - shift);
    for await (const part of readExport(open())) {
      signal?.throwIfAborted();
      if (part.kind === 'batch') await appends.add(part.batch);
      else if (part.kind === 'end' && part.summary.hash !== summary.hash) throw changed();
    }
    await appends.settled();
    return { ...summary, topic, shift };
  } catch (error) {
    // What is there of it must not be taken for all of it.
    await remove(topic).catch(() => {});
    throw error;
  }
}

/** Where the cluster cannot begin a topic elsewhere than at 1, that is where it begins. */
async function createAt(
  first: number,
  create: ImportTarget['create'],
): Promise<{ topic: Topic; shift: number }> {
  if (first === 1) return { topic: await create(undefined), shift: 0 };
  try {
    return { topic: await create(first), shift: 0 };
  } catch (error) {
    const isUnknown =
      VarlogError.is(error, 'UNIMPLEMENTED') ||
      (VarlogError.is(error, 'FAILED_PRECONDITION') && error.details['level'] !== undefined);
    if (!isUnknown) throw error;
    return { topic: await create(undefined), shift: first - 1 };
  }
}

/** Appends batches to one log stream, several at once, and makes sure that each gets its place. */
class OrderedAppends {
  private readonly context: ClientContext;
  private readonly topic: Topic;
  private readonly logStream: LogStreamId;
  private readonly waiting: { readonly done: Promise<void>; readonly bytes: number }[] = [];
  private bytes = 0;
  private hasBegun = false;
  private next: number;

  constructor(context: ClientContext, topic: Topic, logStream: LogStreamId, first: number) {
    this.context = context;
    this.topic = topic;
    this.logStream = logStream;
    this.next = first;
  }

  async add(batch: { readonly count: number; readonly bytes: Uint8Array }): Promise<void> {
    const due = this.next;
    this.next += batch.count;
    const { count } = batch;
    // Whoever reads the file may use its buffer again.
    const bytes = new Uint8Array(batch.bytes);
    const { logStream, topic } = this;
    const asked = { logStream, topicId: topic.id, batch: { count, bytes } };
    const done = this.context.appender
      .append({ ...asked, timeoutMs: APPEND_TIMEOUT_MS })
      .then(({ glsn }) => {
        if (glsn !== due) throw disordered(due, glsn);
      });
    done.catch(() => {});
    this.waiting.push({ done, bytes: bytes.length });
    this.bytes += bytes.length;
    // The first one alone: until its log stream takes appends, tries are repeated, and would be out of order.
    if (!this.hasBegun) await this.settled();
    this.hasBegun = true;
    while (this.waiting.length > BATCHES_MAX || this.bytes > BYTES_MAX) await this.takeOne();
  }

  async settled(): Promise<void> {
    while (this.waiting.length > 0) await this.takeOne();
  }

  private async takeOne(): Promise<void> {
    const { done, bytes } = this.waiting.shift()!;
    await done;
    this.bytes -= bytes;
  }
}

function disordered(due: number, glsn: number): VarlogError {
  return new VarlogError('UNAVAILABLE', {
    what: `record ${due} was appended at ${glsn}`,
    because: 'an append was tried again after a fault of the cluster, or somebody else appends',
    next: 'import again: what was made of it was deleted',
  });
}

function changed(): VarlogError {
  return new VarlogError('CORRUPT', {
    what: 'the export of a topic changed while it was imported',
    next: 'import it again: what was made of it was deleted',
  });
}
