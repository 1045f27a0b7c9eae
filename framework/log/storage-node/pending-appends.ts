import { assert, type VarlogError } from '../../base/index.ts';
import type { MemoryBudget } from './memory-budget.ts';

/** Where the outcome of an append goes. */
export interface AppendSink {
  /** `duplicate`: an earlier append had put it there. */
  acknowledge(
    sequence: number,
    glsn: number,
    llsn: number,
    count: number,
    duplicate: boolean,
  ): void;
  fail(sequence: number, error: VarlogError): void;
}

/** Who is to hear of an append. */
export interface Listener {
  readonly sequence: number;
  readonly sink: AppendSink;
}

interface Pending extends Listener {
  readonly llsn: number;
  readonly count: number;
  readonly bytes: number;
  /** LLSN of the last record because of which its condition held; 0: it had none. */
  readonly restsOn: number;
  /** Those who have appended the same batch again. */
  repeated?: Listener[];
}

/** What one append occupies beside its payload. */
const APPEND_BYTES = 128;

/** The appends of a primary that wait to be ordered, in the order of their LLSNs. */
export class PendingAppends {
  private queue: Pending[] = [];
  private head = 0;
  /** Memory that is held by what waits. */
  bytes = 0;
  private readonly budget: MemoryBudget;

  constructor(budget: MemoryBudget) {
    this.budget = budget;
  }

  add(pending: Pending): void {
    this.queue.push(pending);
    this.hold(pending.bytes + APPEND_BYTES);
  }

  /** The batch at `llsn`, which waits, was appended again: whoever did that hears of it too. */
  join(llsn: number, listener: Listener): void {
    const found = this.queue.find((it, i) => i >= this.head && it.llsn === llsn);
    assert(found !== undefined, 'a primary waits for all that it has appended');
    found.repeated ??= [];
    found.repeated.push(listener);
  }

  /** Records `llsn`… up to `end` have the GLSNs `glsn`…. A batch is ordered as a whole. */
  committed(llsn: number, glsn: number, end: number): void {
    for (; this.head < this.queue.length; this.head++) {
      const it = this.queue[this.head]!;
      if (it.llsn > end) break;
      this.hold(-(it.bytes + APPEND_BYTES));
      const at = glsn + (it.llsn - llsn);
      it.sink.acknowledge(it.sequence, at, it.llsn, it.count, false);
      for (const { sequence, sink } of it.repeated ?? []) {
        sink.acknowledge(sequence, at, it.llsn, it.count, true);
      }
    }
    if (this.head === this.queue.length) {
      this.queue = [];
      this.head = 0;
    } else if (this.head > 1024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
  }

  /**
   * Fails those after LLSN `end`, by `error`, or by `lost` where their condition held because of a record that is lost as
   * well: such an append is not to be tried again as it is.
   */
  failBehind(
    end: number,
    error: VarlogError,
    lost: (restsOn: number) => VarlogError = () => error,
  ): void {
    const kept: Pending[] = [];
    for (const it of this.queue.slice(this.head)) {
      if (it.llsn <= end) {
        kept.push(it);
        continue;
      }
      this.hold(-(it.bytes + APPEND_BYTES));
      const failure = it.restsOn > end ? lost(it.restsOn) : error;
      it.sink.fail(it.sequence, failure);
      for (const { sequence, sink } of it.repeated ?? []) sink.fail(sequence, failure);
    }
    this.queue = kept;
    this.head = 0;
  }

  private hold(bytes: number): void {
    this.bytes += bytes;
    this.budget.pendingBytes += bytes;
  }
}
