import {
  type Clock,
  type LogCallOptions,
  type Producer,
  SerialQueue,
  VarlogError,
} from '../base/index.ts';
import { receiptTimer } from '../log/client/append-receipt.ts';
import { conditionOf } from '../log/client/expectation.ts';
import type { Expectation } from '../log/client/index.ts';
import type { AppendCondition } from '../log/core/index.ts';
import type { AppendReceipt } from '../log/index.ts';
import type { LogProducer, ProducedRecords } from './contracts/producer.ts';

/** Has records taken once: rejects with `PRODUCER_FENCED`. */
export type TakeOnce = (
  commands: readonly Uint8Array[],
  producer: Producer,
  condition: AppendCondition | undefined,
) => Promise<{ glsn: number; llsn: number; duplicate: boolean }>;

const utf8 = new TextEncoder();

/** A producer of a log in memory, as `topic.producer` gives one: it repeats whatever has failed until it is there. */
export class MemoryProducer implements LogProducer {
  readonly id: number;
  readonly epoch: number;
  private readonly clock: Clock;
  private readonly takeOnce: TakeOnce;
  private readonly turns = new SerialQueue();
  private next = 0;
  private ended: VarlogError | undefined;

  /** Made by `log.producer({ id })`. */
  constructor({ id, epoch }: { id: number; epoch: number }, clock: Clock, takeOnce: TakeOnce) {
    this.id = id;
    this.epoch = epoch;
    this.clock = clock;
    this.takeOnce = takeOnce;
  }

  get failure(): VarlogError | undefined {
    return this.ended;
  }

  /** As that of a topic's producer. A `timeoutMs` is not looked at. */
  async append(
    records: Uint8Array | string | readonly (Uint8Array | string)[],
    options: LogCallOptions & { expect?: Expectation; receipt?: boolean } = {},
  ): Promise<ProducedRecords & { receipt?: AppendReceipt }> {
    const timer = receiptTimer(options.receipt, this.clock);
    const condition = options.expect === undefined ? undefined : conditionOf(options.expect);
    const given = (Array.isArray(records) ? records : [records]) as readonly (
      | Uint8Array
      | string
    )[];
    const commands = given.map((it) => (typeof it === 'string' ? utf8.encode(it) : it.slice()));
    if (commands.length === 0) {
      const next = 'append at least one record';
      const outcome = 'notAppended';
      throw new VarlogError('EMPTY_BATCH', { what: 'an append of no records', next, outcome });
    }
    options.signal?.throwIfAborted();
    if (this.ended !== undefined) throw this.ended;
    const sequence = this.next;
    const count = commands.length;
    this.next += count;
    const { id, epoch } = this;
    return this.turns.run(async () => {
      if (this.ended !== undefined) throw this.ended;
      try {
        const own = { id, epoch, sequence };
        const { glsn, llsn, duplicate } = await this.takeOnce(commands, own, condition);
        const place = { glsn, llsn, count, sequence, duplicate };
        return timer === undefined ? place : { ...place, receipt: timer.receipt(null) };
      } catch (error) {
        const isAlone = this.next === sequence + count;
        if (isAlone && VarlogError.is(error, 'CONDITION_FAILED')) this.next = sequence;
        else if (VarlogError.is(error)) this.ended = error;
        throw error;
      }
    });
  }

  close(): void {
    this.ended ??= new VarlogError('CLOSED', {
      what: `producer ${this.id} was closed`,
      next: 'await its appends before, or open it anew',
      outcome: 'notAppended',
    });
  }
}
