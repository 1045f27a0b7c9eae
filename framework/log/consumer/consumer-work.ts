import {
  asVarlogError,
  Backoff,
  Lanes,
  reasonOf,
  VarlogError,
  type Waiters,
} from '../../base/index.ts';
import type { Entry } from '../client/entry.ts';
import type { ParkedRecord } from '../core/index.ts';
import type { ConsumerLife } from './consumer-life.ts';
import type { CheckedOptions, RecordHandler } from './consumer-options.ts';
import type { ConsumerSource } from './consumer-source.ts';
import { isLasting, RecordTries, type Verdict } from './record-tries.ts';
import { Watermark } from './watermark.ts';

/** Between tries of what has to succeed before anything goes on, in milliseconds. */
export const RETRY_MS = { first: 100, most: 5_000 };

export interface WorkParts {
  readonly source: ConsumerSource;
  readonly options: CheckedOptions;
  readonly life: ConsumerLife;
  readonly handler: RecordHandler<unknown, unknown>;
  /** For positions to be reached. */
  readonly waiters: Waiters<number>;
  /** Aborted when no more is begun, nor tried again. */
  readonly ending: AbortSignal;
  /** Aborted when handlers are waited for no more. */
  readonly givenUp: AbortSignal;
  /** Something changed that the status says. */
  readonly changed: () => void;
  /** Something is in the way for the moment. */
  readonly hindered: (error: unknown) => void;
  /** The consumer cannot go on. */
  readonly stop: (error: VarlogError) => void;
}

/** What a life of a consumer does with the records that it is given. */
export class ConsumerWork {
  readonly tries: RecordTries;
  readonly watermark: Watermark;
  private readonly lanes: Lanes<unknown>;
  /** Records that were passed over. */
  skipped = 0;
  private readonly parts: WorkParts;
  private room: (() => void) | undefined;
  private replaying = false;

  constructor(parts: WorkParts) {
    const { source, options, life, handler, ending, givenUp: given, changed, hindered } = parts;
    this.parts = parts;
    this.watermark = new Watermark(life.begin);
    this.lanes = new Lanes(options.concurrency);
    this.tries = new RecordTries({
      ports: source.ports,
      life,
      handler,
      attempts: options.attempts,
      refusal: (it) => (source.onDecodeError === 'pass' ? undefined : it.decodeError),
      ending,
      given,
      changed,
      hindered,
    });
  }

  /** Begins with the next record of the log. */
  take(entry: Entry<unknown>): void {
    const { life, changed } = this.parts;
    const { glsn, size } = entry;
    const lane = this.laneOf(entry);
    this.watermark.begin(glsn, size);
    life.tail = Math.max(life.tail, glsn);
    changed();
    if (life.wasDone(glsn)) this.finish(glsn);
    else this.lanes.post(lane, () => this.begin(() => this.work(entry)));
  }

  /** Resolves when another record may be taken, or none is wanted any more. */
  async whenRoom(): Promise<void> {
    while (this.isFull && !this.parts.ending.aborted) {
      await new Promise<void>((resolve) => {
        this.room = resolve;
      });
    }
  }

  /** No more is begun: resolves when what was begun has ended. Nobody waits for room any more. */
  async ended(): Promise<void> {
    this.room?.();
    await this.lanes.settled();
  }

  /** Gives parked records to the handler once more, one after the other, among the others of their keys. */
  async replay(due: readonly ParkedRecord[]): Promise<void> {
    if (this.replaying) return;
    this.replaying = true;
    try {
      for (const record of due) {
        if (this.parts.ending.aborted) return;
        await this.guard(() => this.replayOne(record));
      }
    } finally {
      this.replaying = false;
    }
  }

  private get isFull(): boolean {
    const { maxInFlight, maxInFlightBytes } = this.parts.options;
    // What is done beyond the position counts: a store may have to remember it.
    return this.watermark.span >= maxInFlight || this.watermark.bytes >= maxInFlightBytes;
  }

  private laneOf(entry: Entry<unknown>): unknown {
    const { orderBy } = this.parts.options;
    if (orderBy === undefined || entry.decodeError !== undefined) return undefined;
    if (orderBy === 'key') return entry.key;
    return orderBy === 'logStream' ? entry.logStream : orderBy(entry);
  }

  private async work(entry: Entry<unknown>): Promise<void> {
    if (await this.isOver(entry)) this.finish(entry.glsn);
  }

  /** Whether nothing is left to be done for a record, so that the position may pass it. */
  private async isOver(entry: Entry<unknown>): Promise<boolean> {
    const { life, source, givenUp } = this.parts;
    const { glsn } = entry;
    if (life.wasParked(glsn)) return this.until(() => life.passParked(glsn));
    if (source.onDecodeError === 'skip' && entry.decodeError !== undefined)
      return this.until(() => life.run(glsn, async () => {}));
    const verdict = await this.tries.run(entry, false);
    if (givenUp.aborted) return false;
    return verdict.kind === 'failed' ? this.failed(glsn, verdict) : verdict.kind === 'done';
  }

  /** Whether the consumer goes on behind a record that failed. */
  private async failed(
    glsn: number,
    { attempts, error }: Extract<Verdict, { kind: 'failed' }>,
  ): Promise<boolean> {
    const { life, options, stop } = this.parts;
    if (options.onError === 'stop') {
      stop(handlerFailed(options.name, glsn, attempts, error));
      return false;
    }
    if (options.onError === 'park') return this.park({ glsn, attempts, error });
    const passed = await this.until(() => life.run(glsn, async () => {}));
    if (passed) this.skipped++;
    return passed;
  }

  private park(failed: { glsn: number; attempts: number; error: unknown }): Promise<boolean> {
    const { life, source } = this.parts;
    const { glsn, attempts, error } = failed;
    const at = Math.max(0, Math.floor(source.ports.clock.wall()));
    const record = { glsn, attempts, cause: reasonOf(error), at };
    return this.until((signal) => life.park(record, { signal }));
  }

  private finish(glsn: number): void {
    const { watermark } = this;
    const { waiters, changed } = this.parts;
    watermark.end(glsn);
    changed();
    if (waiters.size > 0) waiters.resolve((it) => it <= watermark.position);
    if (this.isFull) return;
    const { room } = this;
    this.room = undefined;
    room?.();
  }

  private async replayOne({ glsn, attempts }: ParkedRecord): Promise<void> {
    const { source, ending, givenUp, life } = this.parts;
    let found: Entry<unknown> | undefined;
    try {
      for await (const it of source.read(glsn, ending)) found = it;
    } catch (error) {
      // Otherwise it is due again the next time.
      if (isLasting(error) && !ending.aborted) await this.park({ glsn, attempts, error });
      return;
    }
    if (found === undefined) return;
    const entry = found;
    const again = async (): Promise<void> => {
      const verdict = await this.tries.run(entry, true);
      if (givenUp.aborted) return;
      if (verdict.kind === 'done') await this.until((signal) => life.settle(glsn, { signal }));
      if (verdict.kind !== 'failed') return;
      const { error } = verdict;
      await this.park({ glsn, attempts: attempts + verdict.attempts, error });
    };
    await this.lanes.run(this.laneOf(entry), () => this.begin(again));
  }

  /**
   * Repeats what fails for the moment, until handlers are given up. Whether it was done; what fails for good stops the
   * consumer.
   */
  private async until(attempt: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const { source, givenUp, hindered, stop } = this.parts;
    const { clock, random } = source.ports;
    const backoff = new Backoff(random, RETRY_MS.first, RETRY_MS.most);
    while (!givenUp.aborted) {
      try {
        await attempt(givenUp);
        return true;
      } catch (error) {
        if (givenUp.aborted) return false;
        if (isLasting(error)) {
          stop(error);
          return false;
        }
        hindered(error);
        await backoff.pause(clock, givenUp);
      }
    }
    return false;
  }

  /** What waited behind others is dropped when the consumer ends. */
  private async begin(work: () => Promise<void>): Promise<void> {
    if (!this.parts.ending.aborted) await this.guard(work);
  }

  /** Whatever is thrown beside the handler ends the consumer. */
  private async guard(work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => this.parts.stop(asVarlogError(error)));
  }
}

function handlerFailed(name: string, glsn: number, attempts: number, cause: unknown): VarlogError {
  const times = attempts === 1 ? 'once' : `${attempts} times`;
  return new VarlogError('HANDLER_FAILED', {
    what: `consumer "${name}" stopped at record ${glsn}, which has failed ${times}`,
    because: reasonOf(cause),
    next: 'mend the handler and start the consumer again: it goes on with that record',
    details: { consumer: name, glsn, attempts },
    cause,
  });
}
