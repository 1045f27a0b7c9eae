import { SequenceMap } from '../base/index.ts';
import { Request as RequestMessage } from '../wire/gen/smr.ts';
import { decodeOutcome, encodeOutcome, type Outcome } from './outcome.ts';

/**
 * How long request ids are kept. They decide what a command does, so they must be equal on all replicas of a
 * machine.
 */
export interface RequestLimits {
  /** So long by the log's time a repeated id takes effect once. */
  keepMs: number;
  /** Over so many bytes the oldest are forgotten before their time. Each counts as id, result and 256. */
  bytesMax: number;
}

export const REQUEST_LIMITS: RequestLimits = {
  keepMs: 24 * 3_600_000,
  bytesMax: 64 * 1024 * 1024,
};

/** What a request costs beside its id and its result. */
const REQUEST_BYTES = 256;

/** A request that was decided. */
export interface DecidedRequest {
  readonly id: string;
  /** Of the command that it came with: length and CRC32C. */
  readonly length: number;
  readonly checksum: number;
  readonly position: number;
  /** The log's time there. */
  readonly time: number;
  readonly outcome: Outcome;
}

/**
 * Which requests of callers were decided, and how: part of the replicated state. Unlike a session it outlives its
 * client, so a request that comes again from elsewhere, or after a restart, is answered and not repeated.
 */
export class RequestTable {
  private readonly limits: RequestLimits;
  private readonly touched: (id: string) => void;
  /** Oldest first. */
  private readonly order = new SequenceMap<DecidedRequest>();
  private readonly byId = new Map<string, DecidedRequest>();
  private bytes = 0;
  private newestForgotten = 0;

  /** `touched` is told of each request that is added or forgotten: for tables kept row by row. */
  constructor(limits: RequestLimits, touched: (id: string) => void = () => {}) {
    this.limits = limits;
    this.touched = touched;
  }

  /** Position of the newest request that was forgotten: all that were decided behind it are known. */
  get forgotten(): number {
    return this.newestForgotten;
  }

  get size(): number {
    return this.byId.size;
  }

  find(id: string): DecidedRequest | undefined {
    return this.byId.get(id);
  }

  /** An id that is there already must have been found. */
  add(request: DecidedRequest): void {
    this.insert(request);
    this.touched(request.id);
    while (this.bytes > this.limits.bytesMax) this.forgetOldest();
  }

  /** Forgets what is too old at this time of the log. */
  expire(time: number): void {
    for (let oldest = this.oldest(); oldest !== undefined; oldest = this.oldest()) {
      if (time - oldest.time <= this.limits.keepMs) return;
      this.forgetOldest();
    }
  }

  /** All requests, oldest first. */
  encode(): RequestMessage[] {
    return [...this.order.values()].map(toMessage);
  }

  /** One request; `undefined` where it is not known. */
  encodeOne(id: string): RequestMessage | undefined {
    const request = this.byId.get(id);
    return request === undefined ? undefined : toMessage(request);
  }

  /** `messages`: oldest first. */
  restore(messages: readonly RequestMessage[], forgotten: number): void {
    this.order.clear();
    this.byId.clear();
    this.bytes = 0;
    this.newestForgotten = forgotten;
    for (const message of messages) {
      const { id, length, checksum, position, time } = message;
      this.insert({ id, length, checksum, position, time, outcome: decodeOutcome(message) });
    }
  }

  private insert(request: DecidedRequest): void {
    this.order.add(request);
    this.byId.set(request.id, request);
    this.bytes += cost(request);
  }

  private oldest(): DecidedRequest | undefined {
    const { firstKey } = this.order;
    return firstKey === undefined ? undefined : this.order.get(firstKey);
  }

  private forgetOldest(): void {
    const key = this.order.firstKey as number;
    const request = this.order.get(key) as DecidedRequest;
    this.order.delete(key);
    this.byId.delete(request.id);
    this.bytes -= cost(request);
    this.newestForgotten = request.position;
    this.touched(request.id);
  }
}

function cost({ id, outcome }: DecidedRequest): number {
  return REQUEST_BYTES + Buffer.byteLength(id) + outcome.length;
}

function toMessage({ outcome, ...request }: DecidedRequest): RequestMessage {
  return RequestMessage.create({ ...request, ...encodeOutcome(outcome) });
}
