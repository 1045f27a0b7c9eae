import { inTime, type LogStreamId, unlessAborted, VarlogError } from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, inSteps } from './call-limit.ts';
import type { ClientContext } from './client-context.ts';
import { type ExportSummary, readExport } from './export-format.ts';
import { checkExport } from './export-topic.ts';
import type { Topic } from './topic.ts';

/** Batches under way at once, and their bytes: the next ones wait. */
const BATCHES_MAX = 256;
const BYTES_MAX = 8 * 1024 * 1024;
/** For one append, where the whole import was given no time. */
const APPEND_TIMEOUT_MS = 30_000;
/** Who waits no longer waits so long at the most for what was made to be deleted: then may be the end of the client. */
const DELETION_MS_MAX = 2_000;

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
  create(first: number | undefined, limits: CallLimits): Promise<Topic>;
  remove(topic: Topic): Promise<void>;
}

/** Does what {@link Varlog.importTopic} says. */
export function importTopic(
  target: ImportTarget,
  open: () => AsyncIterable<Uint8Array>,
  { signal, timeoutMs }: CallLimits,
): Promise<ImportedTopic> {
  const { ports, lifetime } = target.context;
  const limits = { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
  const until = ports.clock.now() + (timeoutMs ?? Infinity);
  return inSteps(ports.clock, { ...limits, what: 'importing a topic', lifetime }, async (own) => {
    const source = (): AsyncIterable<Uint8Array> => untilAborted(open(), own.signal);
    const summary = await checkExport(source());
    const made = await createAt(summary.first, (first) => target.create(first, own));
    try {
      await fill(target.context, made, summary, source, own);
    } catch (error) {
      // What is there of it must not be taken for all of it.
      const removed = target.remove(made.topic).catch(() => {});
      const leftMs = until - ports.clock.now();
      const graceMs = Math.min(
        leftMs,
        own.signal?.aborted ? DELETION_MS_MAX : LOG_TIMES.callTimeoutMs,
      );
      if (graceMs > 0)
        await inTime(
          ports.clock,
          graceMs,
          undefined,
          () => removed,
          () => error,
        ).catch(() => {});
      throw error;
    }
    return { ...summary, ...made };
  });
}

/** Appends all of an export to the topic that was made for it. */
async function fill(
  context: ClientContext,
  { topic, shift }: { readonly topic: Topic; readonly shift: number },
  summary: ExportSummary,
  source: () => AsyncIterable<Uint8Array>,
  limits: CallLimits,
): Promise<void> {
  const [logStream] = (await topic.describe(limits)).logStreams;
  const place = { topic, logStream: logStream!.id, first: summary.first - shift };
  const appends = new OrderedAppends(context, place, limits);
  for await (const part of readExport(source())) {
    if (part.kind === 'batch') await appends.add(part.batch);
    else if (part.kind === 'end' && part.summary.hash !== summary.hash) throw changed();
  }
  await appends.settled();
}

/** What `source` has, until `signal` is aborted: then the iteration rejects, also while nothing comes. */
async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const items = source[Symbol.asyncIterator]();
  let isThrough = false;
  try {
    for (;;) {
      const next = await unlessAborted(items.next(), signal);
      isThrough = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // One that is stuck hears of it when it goes on.
    if (!isThrough) await unlessAborted(Promise.resolve(items.return?.()), signal);
  }
}

/** Where the cluster cannot begin a topic elsewhere than at 1, that is where it begins. */
async function createAt(
  first: number,
  create: (first: number | undefined) => Promise<Topic>,
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
  private readonly limits: CallLimits;
  private readonly waiting: { readonly done: Promise<void>; readonly bytes: number }[] = [];
  private bytes = 0;
  private hasBegun = false;
  private next: number;

  constructor(
    context: ClientContext,
    place: { readonly topic: Topic; readonly logStream: LogStreamId; readonly first: number },
    limits: CallLimits,
  ) {
    this.context = context;
    this.topic = place.topic;
    this.logStream = place.logStream;
    this.limits = limits;
    this.next = place.first;
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
      .append({ ...asked, timeoutMs: APPEND_TIMEOUT_MS, ...this.limits })
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
