import {
  attributesOf,
  type Clock,
  checkNames,
  decodeBatch,
  glsn,
  llsn,
  type Producer,
  recordLimits,
  SerialQueue,
  VarlogError,
} from '../base/index.ts';
import { type AppendInput, toBatch } from '../log/client/append-batch.ts';
import { receiptTimer } from '../log/client/append-receipt.ts';
import { conditionOf } from '../log/client/expectation.ts';
import type {
  CallLimits,
  Expectation,
  ProducerAck,
  RecordAttributes,
  RecordCodec,
  RecordInput,
  RecordProducer,
} from '../log/client/index.ts';
import { PRODUCER_APPEND_NAMES } from '../log/client/option-names.ts';
import type { MemoryBatch } from './memory-batch.ts';

/** Has a batch taken once: rejects with `PRODUCER_FENCED`. */
export type TakeOnce = (
  batch: MemoryBatch,
  producer: Producer,
) => Promise<{ glsn: number; llsn: number; duplicate: boolean }>;

/** What a producer is made of. */
interface ProducerParts<In> {
  readonly id: number;
  readonly epoch: number;
  readonly logStream: number;
  readonly clock: Clock;
  readonly codec: RecordCodec<unknown, In>;
  readonly takeOnce: TakeOnce;
}

/** A producer of a log in memory, as `topic.producer` gives one: it repeats whatever has failed until it is there. */
export class MemoryProducer<In = RecordInput> implements RecordProducer<In> {
  readonly id: number;
  readonly epoch: number;
  readonly logStream: number;
  private readonly parts: ProducerParts<In>;
  private readonly turns = new SerialQueue();
  private next = 0;
  private ended: VarlogError | undefined;

  /** Made by `log.producer({ id })` and `log.records().producer({ id })`. */
  constructor(parts: ProducerParts<In>) {
    this.id = parts.id;
    this.epoch = parts.epoch;
    this.logStream = parts.logStream;
    this.parts = parts;
  }

  get failure(): VarlogError | undefined {
    return this.ended;
  }

  /** As that of a topic's producer. A `timeoutMs` is not looked at. */
  async append(
    input: AppendInput<In>,
    options: CallLimits & RecordAttributes & { expect?: Expectation; receipt?: boolean } = {},
  ): Promise<ProducerAck> {
    checkNames(options, PRODUCER_APPEND_NAMES, 'append of a producer');
    const { clock, codec, takeOnce } = this.parts;
    const timer = receiptTimer(options.receipt, clock);
    const condition = options.expect === undefined ? undefined : conditionOf(options.expect);
    const framed = toBatch(input, codec, options, recordLimits());
    options.signal?.throwIfAborted();
    if (this.ended !== undefined) throw this.ended;
    const { count } = framed;
    const { id, epoch, logStream, next: sequence } = this;
    const headers = attributesOf(framed).recordHeaders;
    const batch = { logStream, records: decodeBatch(framed), headers, condition };
    this.next += count;
    return this.turns.run(async () => {
      if (this.ended !== undefined) throw this.ended;
      try {
        const place = await takeOnce(batch, { id, epoch, sequence });
        const at = { glsn: glsn(place.glsn), llsn: llsn(place.llsn), logStream };
        const ack = { ...at, count, sequence, duplicate: place.duplicate };
        return timer === undefined ? ack : { ...ack, receipt: timer.receipt(null) };
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
