import { Request as RequestMessage } from '../wire/gen/smr.ts';
import { ByteBlocks } from './byte-blocks.ts';
import {
  type DecidedRequest,
  fieldBytes,
  hasRequestId,
  requestBytes,
  writeRequest,
} from './request-bytes.ts';

/** Slots at first, always a power of two. */
const SLOTS = 256;

/**
 * Requests in the order of their decision, found by their ids. Millions of them cost the garbage collector nothing, since
 * there is no object for any: each lies as the bytes that a snapshot has of it (field `requests` in smr.proto), and its
 * place in plain arrays. Ids are found by hash; those with the same one are chained, the newest first.
 */
export class RequestRecords {
  private readonly bytes = new ByteBlocks();
  private readonly seed: number;
  private slots = new Slots(SLOTS);
  /** Number of the oldest, and of the next to come. */
  private oldest = 1;
  private next = 1;

  /** `seed` keeps callers from choosing ids that have the same hash. */
  constructor(seed: number) {
    this.seed = seed;
  }

  get size(): number {
    return this.next - this.oldest;
  }

  /** Time of the oldest record; there must be one. */
  get oldestTime(): number {
    return this.slots.of(this.oldest, TIME);
  }

  get oldestPosition(): number {
    return this.slots.of(this.oldest, POSITION);
  }

  /** As it was given to {@link add}. */
  get oldestCost(): number {
    return this.slots.of(this.oldest, COST);
  }

  get oldestId(): string {
    return this.decode(this.oldest).id;
  }

  /** `cost`: any number, kept with it. */
  add(request: DecidedRequest, cost: number): void {
    if (this.size === this.slots.count) this.grow();
    const { slots, bytes } = this;
    const { time, position } = request;
    const length = requestBytes(request);
    const start = bytes.append(fieldBytes(length));
    const block = bytes.last;
    const from = writeRequest(bytes.block(block), start, request, length);
    const hash = hashOf(request.id, this.seed);
    slots.fill(this.next++, { hash, block, from, to: from + length, cost, time, position });
  }

  dropOldest(): void {
    const { slots, oldest } = this;
    this.bytes.drop(slots.of(oldest, BLOCK), slots.of(oldest, TO));
    this.oldest++;
  }

  find(id: Uint8Array): RequestMessage | undefined {
    const { slots, oldest } = this;
    const hash = hashOf(id, this.seed);
    // Those that were dropped are at the end of their chain.
    for (let number = slots.newest(hash); number >= oldest; number = slots.of(number, OLDER)) {
      if (slots.of(number, HASH) === hash && this.hasId(number, id)) return this.decode(number);
    }
    return undefined;
  }

  /** All of them, oldest first, as they lie in a snapshot. They stay as they are. */
  pieces(): Uint8Array[] {
    return this.bytes.pieces();
  }

  private decode(number: number): RequestMessage {
    const { slots } = this;
    const bytes = this.bytes.block(slots.of(number, BLOCK));
    return RequestMessage.decode(bytes.subarray(slots.of(number, FROM), slots.of(number, TO)));
  }

  private hasId(number: number, id: Uint8Array): boolean {
    const { slots } = this;
    return hasRequestId(this.bytes.block(slots.of(number, BLOCK)), slots.of(number, FROM), id);
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Slots(2 * old.count);
    this.slots.copy(old, this.oldest);
  }
}

/** What is known of a record beside its bytes: side by side, since most of it is looked at together. */
interface Slot {
  readonly hash: number;
  /** Where its message lies. */
  readonly block: number;
  readonly from: number;
  readonly to: number;
  readonly cost: number;
  readonly time: number;
  readonly position: number;
}

const [HASH, BLOCK, FROM, TO, COST, TIME, POSITION] = [0, 1, 2, 3, 4, 5, 6];
/** Number of the next older one in the same chain. */
const OLDER = 7;
const FIELDS = 8;

/** The slots of records, by their numbers: one that was dropped leaves its slot to another one. */
class Slots {
  readonly count: number;
  private readonly fields: Float64Array;
  /** The newest record of each chain, perhaps one that was dropped; none has number 0. */
  private readonly heads: Float64Array;

  constructor(count: number) {
    this.count = count;
    this.fields = new Float64Array(count * FIELDS);
    this.heads = new Float64Array(count);
  }

  of(number: number, field: number): number {
    return this.fields[this.at(number) + field] as number;
  }

  newest(hash: number): number {
    return this.heads[hash & (this.count - 1)] as number;
  }

  fill(number: number, { hash, block, from, to, cost, time, position }: Slot): void {
    const { fields } = this;
    const at = this.at(number);
    fields[at + HASH] = hash;
    fields[at + BLOCK] = block;
    fields[at + FROM] = from;
    fields[at + TO] = to;
    fields[at + COST] = cost;
    fields[at + TIME] = time;
    fields[at + POSITION] = position;
    this.link(number, hash);
  }

  /** All records of a smaller one, which is full: `oldest` and those that follow. */
  copy({ count, fields }: Slots, oldest: number): void {
    // In two runs, since they go on at the beginning where they came to the end.
    const split = oldest & (count - 1);
    this.fields.set(fields.subarray(split * FIELDS), this.at(oldest));
    this.fields.set(fields.subarray(0, split * FIELDS), this.at(oldest + count - split));
    for (let number = oldest; number < oldest + count; number++)
      this.link(number, this.of(number, HASH));
  }

  private link(number: number, hash: number): void {
    const head = hash & (this.count - 1);
    this.fields[this.at(number) + OLDER] = this.heads[head] as number;
    this.heads[head] = number;
  }

  private at(number: number): number {
    return (number & (this.count - 1)) * FIELDS;
  }
}

/** FNV-1a. */
function hashOf(id: Uint8Array, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ (id[i] as number), 0x01000193);
  // The lower bits of the product know nothing of the upper ones.
  return (hash ^ (hash >>> 15)) >>> 0;
}
