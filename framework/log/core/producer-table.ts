import type { Producer } from '../../base/index.ts';

/** How much a log stream remembers of its producers, and of keys. */
export interface ProducerLimits {
  /** So many of them, those that appended last. */
  readonly producers: number;
  /** So many batches of each: a producer may not have more on the way. */
  readonly batches: number;
  /** One is forgotten that appended nothing for so long, by the times of the records. */
  readonly ageMs: number;
  /** So many keys, those of the last records. */
  readonly keys: number;
}

/** Replicas need not agree on these: whoever forgets sooner refuses, and takes nothing twice. */
export const PRODUCER_LIMITS: ProducerLimits = {
  producers: 1_024,
  batches: 32,
  ageMs: 24 * 60 * 60 * 1_000,
  keys: 16_384,
};

/** A batch that names its producer, at its place in the log stream. */
export interface ProducedBatch extends Producer {
  readonly count: number;
  readonly llsn: number;
  /** When it was appended, in milliseconds since 1970. */
  readonly timestamp: number;
}

interface OrderedBatch {
  readonly sequence: number;
  readonly count: number;
  readonly llsn: number;
  readonly glsn: number;
}

interface Known {
  readonly epoch: number;
  /** Of its last batch. */
  readonly timestamp: number;
  /** The last ones of this epoch, in order. Never empty. */
  readonly batches: readonly OrderedBatch[];
}

/** What a table holds, as it lies on disk and goes to another replica. */
export interface ProducerSnapshot {
  /** It follows from the records up to here. */
  readonly llsn: number;
  readonly floor: number;
  /** In the order in which they appended last. */
  readonly producers: readonly (Known & { readonly id: number })[];
}

/** What is to become of a batch that names its producer. */
export type Admission =
  | { readonly kind: 'new' }
  /** It stands at `llsn`; `glsn` is missing while it is not ordered. */
  | { readonly kind: 'duplicate'; readonly llsn: number; readonly glsn?: number }
  /** A producer of the same id with the later `epoch` has appended. */
  | { readonly kind: 'fenced'; readonly epoch: number }
  /** Batches before it are missing, from sequence `expected` on. */
  | { readonly kind: 'gap'; readonly expected: number }
  /** It stands in the log, and where is not remembered. */
  | { readonly kind: 'passed' }
  /** The records with these sequences were appended in other batches. */
  | { readonly kind: 'mismatch' }
  /** The producer may have been forgotten: whether the batch stands in the log is not known. */
  | { readonly kind: 'forgotten' };

/**
 * What a replica knows of the producers of its log stream. It follows from the records alone: from those that are
 * ordered, in their order, and beside them from those that are not yet. So it is the same on all replicas and in
 * all lives of a process, and goes back with records that are cut off.
 *
 * It is bounded, and still takes no batch twice: epochs grow over all producers of a topic, so a producer that is
 * not known is new if its epoch is above {@link floor}, the highest one that was ever forgotten. Any other one is
 * refused, and has to be opened anew.
 */
export class ProducerTable {
  private readonly limits: ProducerLimits;
  /** In the order in which they appended last. */
  private readonly known = new Map<number, Known>();
  /** Batches that are not ordered, in the order of their LLSNs. */
  private waiting: ProducedBatch[] = [];
  /** The same by their producers. */
  private readonly waitingOf = new Map<number, ProducedBatch[]>();
  private covered = 0;
  private floor = 0;
  private changes = 0;

  constructor(limits: ProducerLimits) {
    this.limits = limits;
  }

  /** The ordered records up to here are in it. */
  get llsn(): number {
    return this.covered;
  }

  /** Grows when there is more to keep than the place up to which it goes. */
  get revision(): number {
    return this.changes;
  }

  /** The first batch that is not known to be ordered. */
  get firstWaiting(): ProducedBatch | undefined {
    return this.waiting[0];
  }

  /** What is to become of a batch that the primary is given. */
  admit({ id, epoch, sequence }: Producer, count: number): Admission {
    const known = this.known.get(id);
    const waiting = this.waitingOf.get(id);
    const newest = waiting?.at(-1)?.epoch ?? known?.epoch;
    if (newest === undefined && epoch <= this.floor) return { kind: 'forgotten' };
    if (newest !== undefined && epoch < newest) return { kind: 'fenced', epoch: newest };
    const ordered = known?.epoch === epoch ? known.batches : [];
    const own = waiting?.filter((it) => it.epoch === epoch) ?? [];
    const last = own.at(-1) ?? ordered.at(-1);
    const expected = last === undefined ? 0 : last.sequence + last.count;
    if (sequence > expected) return { kind: 'gap', expected };
    if (sequence === expected) return { kind: 'new' };
    const holds = (it: { sequence: number; count: number }): boolean =>
      it.sequence === sequence && it.count === count;
    const found = ordered.find(holds);
    if (found !== undefined) return { kind: 'duplicate', llsn: found.llsn, glsn: found.glsn };
    const unordered = own.find(holds);
    if (unordered !== undefined) return { kind: 'duplicate', llsn: unordered.llsn };
    const first = (ordered[0] ?? own[0])!.sequence;
    return { kind: sequence < first ? 'passed' : 'mismatch' };
  }

  /** A batch was stored, in the order of LLSNs. */
  note(batch: ProducedBatch): void {
    // What this follows from may be ahead of the records that are here.
    if (batch.llsn <= this.covered) return;
    this.waiting.push(batch);
    const others = this.waitingOf.get(batch.id);
    if (others === undefined) this.waitingOf.set(batch.id, [batch]);
    else others.push(batch);
  }

  /** The records `llsn`… up to `end` are ordered, and have the GLSNs `glsn`…. */
  ordered({ llsn, glsn, count }: { llsn: number; glsn: number; count: number }): void {
    const end = llsn + count - 1;
    if (this.waiting.length > 0) {
      const kept = this.waiting.findIndex((it) => it.llsn > end);
      const done = this.waiting.splice(0, kept === -1 ? this.waiting.length : kept);
      for (const it of done) {
        this.noLongerWaits(it);
        this.take(it, glsn + (it.llsn - llsn));
      }
    }
    this.covered = Math.max(this.covered, end);
  }

  /** The records after LLSN `end` were cut off. */
  cut(end: number): void {
    const { waiting } = this;
    this.waiting = [];
    this.waitingOf.clear();
    for (const it of waiting) if (it.llsn <= end) this.note(it);
  }

  snapshot(): ProducerSnapshot {
    const producers = [...this.known].map(([id, it]) => ({ id, ...it }));
    return { llsn: this.covered, floor: this.floor, producers };
  }

  /** Takes over what follows from more records than are in it; anything else leaves it as it is. */
  adopt({ llsn, floor, producers }: ProducerSnapshot): void {
    if (llsn <= this.covered) return;
    const { waiting } = this;
    this.cut(0);
    this.known.clear();
    for (const { id, ...it } of producers) this.known.set(id, it);
    this.floor = floor;
    this.covered = llsn;
    this.changes++;
    for (const it of waiting) this.note(it);
  }

  private noLongerWaits({ id }: ProducedBatch): void {
    const others = this.waitingOf.get(id)!;
    if (others.length === 1) this.waitingOf.delete(id);
    else others.shift();
  }

  private take({ id, epoch, sequence, count, llsn, timestamp }: ProducedBatch, glsn: number): void {
    const before = this.known.get(id);
    const batches = before?.epoch === epoch ? before.batches : [];
    const all = [...batches, { sequence, count, llsn, glsn }].slice(-this.limits.batches);
    // Again at the end: what appended longest ago is the first.
    this.known.delete(id);
    this.known.set(id, { epoch, timestamp, batches: all });
    this.changes++;
    this.forget(timestamp - this.limits.ageMs);
  }

  /** Forgets those that are too many, or appended last before `since`. */
  private forget(since: number): void {
    for (const [id, { epoch, timestamp }] of this.known) {
      if (this.known.size <= this.limits.producers && timestamp >= since) return;
      this.known.delete(id);
      this.floor = Math.max(this.floor, epoch);
    }
  }
}
