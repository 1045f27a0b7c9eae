import type { Request as RequestMessage } from '../wire/gen/smr.ts';
import { decodeOutcome } from './command-outcome.ts';
import type { DecidedRequest } from './request-bytes.ts';
import { RequestRecords } from './request-records.ts';

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
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Which requests of callers were decided, and how: part of the replicated state. Unlike a session it outlives its
 * client, so a request that comes again from elsewhere, or after a restart, is answered and not repeated.
 */
export class RequestTable {
  private readonly limits: RequestLimits;
  private readonly touched: ((id: string) => void) | undefined;
  private seed = 0;
  private records = new RequestRecords(this.seed);
  private bytes = 0;
  private newestForgotten = 0;

  /** `touched` is told of each request that is added or forgotten: for tables kept row by row. */
  constructor(limits: RequestLimits, touched?: (id: string) => void) {
    this.limits = limits;
    this.touched = touched;
  }

  /** Before the first request: the tag of the machine on its log, which callers do not know. Forgets all. */
  bind(tag: Uint8Array): void {
    this.seed = Buffer.from(tag).readUInt32LE();
    this.records = new RequestRecords(this.seed);
    this.bytes = 0;
  }

  /** Position of the newest request that was forgotten: all that were decided after it are known. */
  get forgotten(): number {
    return this.newestForgotten;
  }

  get size(): number {
    return this.records.size;
  }

  /** `id`: UTF-8. */
  find(id: Uint8Array): RequestMessage | undefined {
    return this.records.find(id);
  }

  /** An id that is there already must have been found. */
  add(request: DecidedRequest): void {
    this.insert(request);
    this.touched?.(decoder.decode(request.id));
    while (this.bytes > this.limits.bytesMax) this.forgetOldest();
  }

  /** Forgets what is too old at this time of the log. */
  expire(time: number): void {
    const { records, limits } = this;
    while (records.size > 0 && time - records.oldestTime > limits.keepMs) this.forgetOldest();
  }

  /** All requests, oldest first: fields `requests` of a snapshot. They stay as they are. */
  encode(): Uint8Array[] {
    return this.records.pieces();
  }

  /** One request; `undefined` where it is not known. */
  encodeOne(id: string): RequestMessage | undefined {
    return this.records.find(encoder.encode(id));
  }

  /** An empty one, to be filled by {@link restore} while this one goes on, until it is {@link replace}d. */
  fresh(): RequestTable {
    const fresh = new RequestTable(this.limits);
    fresh.seed = this.seed;
    fresh.records = new RequestRecords(this.seed);
    return fresh;
  }

  /** Adds one as it was stored: the oldest first. */
  restore(message: RequestMessage): void {
    const { length, checksum, position, time } = message;
    const [id, outcome] = [encoder.encode(message.id), decodeOutcome(message)];
    this.insert({ id, length, checksum, position, time, outcome });
  }

  /** Has what the {@link fresh} one has, from now on; that is used no more. */
  replace({ records, bytes }: RequestTable, forgotten: number): void {
    this.records = records;
    this.bytes = bytes;
    this.newestForgotten = forgotten;
  }

  private insert(request: DecidedRequest): void {
    const cost = REQUEST_BYTES + request.id.length + request.outcome.length;
    this.records.add(request, cost);
    this.bytes += cost;
  }

  private forgetOldest(): void {
    const { records, touched } = this;
    const id = touched === undefined ? '' : records.oldestId;
    this.bytes -= records.oldestCost;
    this.newestForgotten = records.oldestPosition;
    records.dropOldest();
    touched?.(id);
  }
}
