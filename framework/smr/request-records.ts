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
  private oldest = 0;
  private next = 0;

  /** `seed` keeps callers from choosing ids that have the same hash. */
  constructor(seed: number) {
    this.seed = seed;
  }

  get size(): number {
    return this.next - this.oldest;
  }

  /** Time of the oldest record; there must be one. */
  get oldestTime(): number {
    return this.slots.time[this.slotOf(this.oldest)] as number;
  }

  get oldestPosition(): number {
    return this.slots.position[this.slotOf(this.oldest)] as number;
  }

  /** As it was given to {@link add}. */
  get oldestCost(): number {
    return this.slots.cost[this.slotOf(this.oldest)] as number;
  }

  get oldestId(): string {
    return this.decode(this.slotOf(this.oldest)).id;
  }

  /** `cost`: any number, kept with it. */
  add(request: DecidedRequest, cost: number): void {
    if (this.size === this.slots.count) this.grow();
    const { slots, bytes } = this;
    const slot = this.slotOf(this.next++);
    const length = requestBytes(request);
    const start = bytes.append(fieldBytes(length));
    const message = writeRequest(bytes.block(bytes.last), start, request, length);
    slots.block[slot] = bytes.last;
    slots.from[slot] = message;
    slots.to[slot] = message + length;
    slots.cost[slot] = cost;
    slots.time[slot] = request.time;
    slots.position[slot] = request.position;
    slots.link(slot, hashOf(request.id, this.seed));
  }

  dropOldest(): void {
    const { slots } = this;
    const slot = this.slotOf(this.oldest++);
    slots.unlink(slot);
    this.bytes.drop(slots.block[slot] as number, slots.to[slot] as number);
  }

  find(id: Uint8Array): RequestMessage | undefined {
    const { slots } = this;
    const hash = hashOf(id, this.seed);
    for (let slot = slots.newest(hash); slot !== NONE; slot = slots.chained[slot] as number) {
      if (slots.hash[slot] === hash && this.hasId(slot, id)) return this.decode(slot);
    }
    return undefined;
  }

  clear(): void {
    this.bytes.clear();
    this.slots = new Slots(SLOTS);
    this.oldest = this.next;
  }

  /** All of them, oldest first, as they lie in a snapshot. They stay as they are. */
  pieces(): Uint8Array[] {
    return this.bytes.pieces();
  }

  private slotOf(number: number): number {
    return number & (this.slots.count - 1);
  }

  private decode(slot: number): RequestMessage {
    const { block, from, to } = this.slots;
    const bytes = this.bytes.block(block[slot] as number);
    return RequestMessage.decode(bytes.subarray(from[slot], to[slot]));
  }

  private hasId(slot: number, id: Uint8Array): boolean {
    const bytes = this.bytes.block(this.slots.block[slot] as number);
    return hasRequestId(bytes, this.slots.from[slot] as number, id);
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Slots(2 * old.count);
    for (let number = this.oldest; number < this.next; number++) {
      this.slots.copy(old, number & (old.count - 1), this.slotOf(number));
    }
  }
}

const NONE = 0xffffffff;

/** What is known of each record beside its bytes, side by side. */
class Slots {
  readonly count: number;
  /** Where its message lies. */
  readonly block: Uint32Array;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  readonly cost: Uint32Array;
  readonly hash: Uint32Array;
  readonly time: Float64Array;
  readonly position: Float64Array;
  /** Slot of the next older one in the same chain. */
  readonly chained: Uint32Array;
  private readonly heads: Uint32Array;

  constructor(count: number) {
    this.count = count;
    this.block = new Uint32Array(count);
    this.from = new Uint32Array(count);
    this.to = new Uint32Array(count);
    this.cost = new Uint32Array(count);
    this.hash = new Uint32Array(count);
    this.time = new Float64Array(count);
    this.position = new Float64Array(count);
    this.chained = new Uint32Array(count);
    this.heads = new Uint32Array(count).fill(NONE);
  }

  /** The newest of the chain in which those with this hash are. */
  newest(hash: number): number {
    return this.heads[hash & (this.count - 1)] as number;
  }

  link(slot: number, hash: number): void {
    const head = hash & (this.count - 1);
    this.hash[slot] = hash;
    this.chained[slot] = this.heads[head] as number;
    this.heads[head] = slot;
  }

  /** The oldest of all, and so the last of its chain. */
  unlink(slot: number): void {
    const head = (this.hash[slot] as number) & (this.count - 1);
    let at = this.heads[head] as number;
    if (at === slot) {
      this.heads[head] = NONE;
      return;
    }
    while (this.chained[at] !== slot) at = this.chained[at] as number;
    this.chained[at] = NONE;
  }

  copy(from: Slots, slot: number, to: number): void {
    this.block[to] = from.block[slot] as number;
    this.from[to] = from.from[slot] as number;
    this.to[to] = from.to[slot] as number;
    this.cost[to] = from.cost[slot] as number;
    this.time[to] = from.time[slot] as number;
    this.position[to] = from.position[slot] as number;
    this.link(to, from.hash[slot] as number);
  }
}

/** FNV-1a. */
function hashOf(id: Uint8Array, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ (id[i] as number), 0x01000193);
  // The lower bits of the product know nothing of the upper ones.
  return (hash ^ (hash >>> 15)) >>> 0;
}
