import type { AtomicAppend, Batch, Clock, Timer, VarlogError } from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { AppendSink } from './pending-appends.ts';

/** A part of an atomic append, and who is to hear of it. */
export interface ParkedPart {
  readonly part: AtomicAppend;
  readonly batch: Batch;
  readonly sequence: number;
  readonly sink: AppendSink;
}

/** What one part occupies beside its payload. */
const PART_BYTES = 256;

/** What is done about parts that have been parked for too long, with what they are refused. */
interface Expiry {
  readonly clock: Clock;
  refusal(): VarlogError;
  /** Some were refused. */
  expired(): void;
}

/**
 * The parts of atomic appends that a primary has taken, in memory, until all others are at their primaries too. They are in
 * nobody's way there: whatever happens before a part enters the log, it is refused for certain.
 */
export class ParkedParts {
  /** Memory that is held by them. */
  bytes = 0;
  private readonly budget: MemoryBudget;
  private readonly expiry: Expiry;
  /** By the id of the append, the oldest first. */
  private readonly parked = new Map<number, ParkedPart & { readonly since: number }>();
  private timer: Timer | undefined;

  constructor(budget: MemoryBudget, expiry: Expiry) {
    this.budget = budget;
    this.expiry = expiry;
  }

  get all(): readonly AtomicAppend[] {
    return [...this.parked.values()].map((it) => it.part);
  }

  get size(): number {
    return this.parked.size;
  }

  has(id: number): boolean {
    return this.parked.has(id);
  }

  /** None of the same append may be here. */
  add(part: ParkedPart): void {
    this.parked.set(part.part.id, { ...part, since: this.expiry.clock.now() });
    this.hold(bytesOf(part));
    this.timer ??= this.expiry.clock.after(LOG_TIMES.parkedMs, () => this.expire());
  }

  /** The part of an append, which is parked no longer. `undefined`: it is not here. */
  take(id: number): ParkedPart | undefined {
    const part = this.parked.get(id);
    if (part === undefined) return undefined;
    this.parked.delete(id);
    this.hold(-bytesOf(part));
    return part;
  }

  /** Refuses all of them, `notAppended`. */
  failAll(error: VarlogError): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const { part } of [...this.parked.values()]) this.fail(part.id, error);
  }

  /** One timer for all: nothing that goes well waits for it. */
  private expire(): void {
    this.timer = undefined;
    const { clock } = this.expiry;
    for (const { part, since } of [...this.parked.values()]) {
      const left = since + LOG_TIMES.parkedMs - clock.now();
      if (left > 0) {
        this.timer = clock.after(Math.max(1, left), () => this.expire());
        break;
      }
      this.fail(part.id, this.expiry.refusal());
    }
    this.expiry.expired();
  }

  private fail(id: number, error: VarlogError): void {
    const { sequence, sink } = this.take(id)!;
    sink.fail(sequence, error);
  }

  private hold(bytes: number): void {
    this.bytes += bytes;
    this.budget.pendingBytes += bytes;
  }
}

function bytesOf({ batch }: ParkedPart): number {
  return batch.bytes.length + PART_BYTES;
}
