import {
  checkPosition,
  checkSignal,
  type Followed,
  type LogEntry,
  type OrderedLog,
  type Trimmed,
  VarlogError,
} from '../../base/index.ts';
import type { EntryBatch } from './entry.ts';
import { PullIterator } from './pull-iterator.ts';
import type { Subscription } from './subscription.ts';

interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** Somebody who needs what is behind a position; `isConsumer`: the consumer of that name. */
interface Holder {
  readonly holder: string;
  readonly position: number;
  readonly isConsumer?: true;
}

/** What a log needs of its topic. */
interface TopicCalls {
  readonly identity: string;
  append(commands: readonly Uint8Array[], options: CallOptions): Promise<{ glsn: number }>;
  tail(options: { from: number; signal?: AbortSignal }): Subscription;
  hold(holder: string, position: number, options: CallOptions): Promise<void>;
  trim(glsn: number, options: CallOptions): Promise<void>;
  describe(options: CallOptions): Promise<{ readonly holds: readonly Holder[] }>;
  watermarks(options: CallOptions): Promise<{ first: number; last: number }>;
}

/** A topic as the port `OrderedLog`, on which state machines run. Positions are GLSNs. */
export class TopicLog implements OrderedLog {
  private readonly topic: TopicCalls;

  constructor(topic: TopicCalls) {
    this.topic = topic;
  }

  async identity(): Promise<string> {
    return this.topic.identity;
  }

  /** One batch, so at most `BATCH_BYTES_MAX` framed bytes. */
  async append(commands: readonly Uint8Array[], options: CallOptions = {}): Promise<number> {
    return (await this.topic.append(commands, options)).glsn;
  }

  follow(from: number, options: { signal?: AbortSignal } = {}): AsyncIterable<Followed> {
    checkPosition(from, 'from');
    checkSignal(options.signal);
    const range = { ...options, from: Math.max(1, from) };
    return { [Symbol.asyncIterator]: () => followed(this.topic.tail(range), options.signal) };
  }

  async hold(holder: string, position: number, options: CallOptions = {}): Promise<void> {
    await this.topic.hold(holder, position, options);
  }

  /** What comes to hold it in between is seen by the topic, which then refuses: nothing is trimmed by force. */
  async trim(position: number, options: CallOptions = {}): Promise<Trimmed> {
    const [{ holds }, { first }] = await Promise.all([
      this.topic.describe(options),
      this.topic.watermarks(options),
    ]);
    let upTo = position;
    let heldBackBy: Trimmed['heldBackBy'];
    for (const { holder, position: held, isConsumer } of holds) {
      if (held >= upTo) continue;
      upTo = held;
      heldBackBy = { holder: isConsumer ? `consumer "${holder}"` : holder, position: held };
    }
    if (upTo >= first) await this.topic.trim(upTo, options);
    return { position: Math.max(upTo, first - 1), ...(heldBackBy && { heldBackBy }) };
  }

  async tail(options: CallOptions = {}): Promise<number> {
    return (await this.topic.watermarks(options)).last;
  }
}

/**
 * All that is there becomes one delivery, however many batches it came in. A replica must not take a closed client
 * for the end that it asked for by `signal`.
 */
function followed(
  subscription: Subscription,
  signal: AbortSignal | undefined,
): AsyncIterator<Followed> {
  subscription.claim();
  return new PullIterator<Followed & { kind: 'entries' }>({
    refill: async () => {
      const batches = await subscription.take();
      if (batches !== undefined) return [toFollowed(batches)];
      if (signal?.aborted === true) return undefined;
      throw new VarlogError('CLOSED', {
        what: 'the client was closed while a log was followed',
        next: 'close the replica before the client',
      });
    },
    settled: ({ through }) => subscription.settle(through),
    close: () => subscription.close(),
    isClosed: () => subscription.isClosed,
  });
}

function toFollowed(batches: readonly EntryBatch[]): Followed & { kind: 'entries' } {
  const entries: LogEntry[] = [];
  for (const batch of batches) {
    let position: number = batch.glsn;
    for (const command of batch.records()) entries.push({ position: position++, command });
  }
  return { kind: 'entries', entries, through: batches.at(-1)!.lastGlsn };
}
