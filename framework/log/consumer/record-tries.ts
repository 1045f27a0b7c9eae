import { Backoff, type Ports, VarlogError } from '../../base/index.ts';
import type { Entry } from '../client/entry.ts';
import type { ConsumerLife } from './consumer-life.ts';
import type { RecordHandler } from './consumer-options.ts';
import type { RetriedRecord } from './consumer-status.ts';

const BACKOFF_MS = { first: 100, most: 5_000 };

/** What became of a record. `ended`: nothing, because the consumer ends. */
export type Verdict =
  | { readonly kind: 'done' | 'ended' }
  | { readonly kind: 'failed'; readonly attempts: number; readonly error: unknown };

export interface TriesParts {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly life: ConsumerLife;
  readonly handler: RecordHandler<unknown, unknown>;
  readonly attempts: number;
  /** Why a record cannot be given to the handler at all. */
  readonly refusal: (entry: Entry<unknown>) => VarlogError | undefined;
  /** Aborted when nothing is to be tried again. */
  readonly ending: AbortSignal;
  /** Aborted when nobody waits for the handler any more. */
  readonly given: AbortSignal;
  /** What is being tried again changed. */
  readonly changed: () => void;
  /** Something is in the way for the moment. */
  readonly hindered: (error: unknown) => void;
}

/** Whether an error stays, however often the same is tried again. What may have been done is no such case: it can be repeated. */
export function isLasting(error: unknown): error is VarlogError {
  return VarlogError.is(error) && !error.retryable && error.outcome !== 'unknown';
}

/** Has the handler work on records, each until it is done or has failed as often as it may. */
export class RecordTries {
  private readonly parts: TriesParts;
  private readonly retried = new Map<number, RetriedRecord>();

  constructor(parts: TriesParts) {
    this.parts = parts;
  }

  /** The oldest record that has failed and is tried again. */
  get retrying(): RetriedRecord | undefined {
    let oldest: RetriedRecord | undefined;
    for (const it of this.retried.values())
      if (oldest === undefined || it.glsn < oldest.glsn) oldest = it;
    return oldest;
  }

  /** Rejects with what the checkpoint store says of the consumer as a whole: `CONSUMER_FENCED`, for example. */
  async run(entry: Entry<unknown>, isReplay: boolean): Promise<Verdict> {
    const { ports, attempts, refusal, ending } = this.parts;
    const refused = refusal(entry);
    if (refused !== undefined) return { kind: 'failed', attempts: 1, error: refused };
    const backoff = new Backoff(ports.random, BACKOFF_MS.first, BACKOFF_MS.most);
    try {
      for (let attempt = 1; ; ) {
        const failure = await this.attempt(entry, { attempt, isReplay });
        if (failure === undefined) return { kind: 'done' };
        const { error, isOfRecord } = failure;
        if (!isOfRecord) {
          this.parts.hindered(error);
        } else if (attempt >= attempts) {
          return { kind: 'failed', attempts: attempt, error };
        } else {
          this.retried.set(entry.glsn, { glsn: entry.glsn, attempts: attempt++, cause: error });
          this.parts.changed();
        }
        await backoff.pause(ports.clock, ending);
        if (ending.aborted) return { kind: 'ended' };
      }
    } finally {
      if (this.retried.delete(entry.glsn)) this.parts.changed();
    }
  }

  /** What the record failed with; not its own fault where the handler was not even called. */
  private async attempt(
    entry: Entry<unknown>,
    told: { readonly attempt: number; readonly isReplay: boolean },
  ): Promise<{ readonly error: unknown; readonly isOfRecord: boolean } | undefined> {
    const { life, handler, given: signal } = this.parts;
    let thrown: { readonly error: unknown } | undefined;
    let isOfRecord = false;
    try {
      await life.run(entry.glsn, async (transaction) => {
        isOfRecord = true;
        try {
          await handler(entry, { ...told, signal, transaction });
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
      return undefined;
    } catch (error) {
      // Otherwise it is the store that speaks: of a transaction that failed, of what the handler did to it, or of the consumer.
      const isOfHandler = thrown !== undefined || VarlogError.is(error, 'HANDLER_FAILED');
      if (!isOfHandler && isLasting(error)) throw error;
      return { error: thrown === undefined ? error : thrown.error, isOfRecord };
    }
  }
}
