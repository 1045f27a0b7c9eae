import { assert, type VarlogError } from '../../base/index.ts';
import {
  type AppendStations,
  type CommitTime,
  stationsOf,
  type WriteTime,
} from './append-stations.ts';
import type { MemoryBudget } from './memory-budget.ts';

/** Where the outcome of an append goes. */
export interface AppendSink {
  /** `duplicate`: an earlier append had put it there. `stations`: where its time went, if that was asked for. */
  acknowledge(
    sequence: number,
    glsn: number,
    llsn: number,
    count: number,
    duplicate: boolean,
    stations?: AppendStations,
  ): void;
  fail(sequence: number, error: VarlogError): void;
}

/** Who is to hear of an append. */
export interface Listener {
  readonly sequence: number;
  readonly sink: AppendSink;
}

/** What an append came with, beside its batch. */
export interface Arrived extends Listener {
  /** When it came, by the clock of this process. */
  readonly arrivedAt: number;
  /** Whether it is asked where its time goes. */
  readonly receipt: boolean;
}

/** An append that was taken. */
interface Pending {
  readonly arrived: Arrived;
  /** LLSN of the last record because of which its condition held; 0: it had none. */
  readonly restsOn: number;
  readonly llsn: number;
  readonly count: number;
  readonly bytes: number;
  /** Those who have appended the same batch again. */
  repeated?: Listener[];
}

/** What one append occupies beside its payload. */
const APPEND_BYTES = 128;

/** The appends of a primary that wait to be ordered, in the order of their LLSNs. */
export class PendingAppends {
  private queue: Pending[] = [];
  private head = 0;
  /** Writes that made some of these durable, in their order: no more than there are appends that wait. */
  private writes: WriteTime[] = [];
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

  /** A write has made the records up to LLSN `end` durable. */
  written(write: WriteTime): void {
    if (this.head < this.queue.length) this.writes.push(write);
  }

  /**
   * Records `llsn`… up to `end` have the GLSNs `glsn`…. A batch is ordered as a whole. Gives back where the time of the
   * oldest of these appends went.
   */
  committed(llsn: number, glsn: number, end: number, time: CommitTime): AppendStations | undefined {
    let first: AppendStations | undefined;
    let write = 0;
    for (; this.head < this.queue.length; this.head++) {
      const it = this.queue[this.head]!;
      if (it.llsn > end) break;
      this.hold(-(it.bytes + APPEND_BYTES));
      const at = glsn + (it.llsn - llsn);
      let stations: AppendStations | undefined;
      const { sequence, sink, arrivedAt, receipt } = it.arrived;
      if (receipt || first === undefined) {
        while (write < this.writes.length && this.writes[write]!.end < it.llsn) write++;
        stations = stationsOf(arrivedAt, this.writes[write], time);
        first ??= stations;
      }
      const asked = receipt ? stations : undefined;
      sink.acknowledge(sequence, at, it.llsn, it.count, false, asked);
      if (it.repeated === undefined) continue;
      for (const again of it.repeated) {
        again.sink.acknowledge(again.sequence, at, it.llsn, it.count, true);
      }
    }
    if (this.head === this.queue.length) {
      this.queue = [];
      this.head = 0;
      this.writes = [];
      return first;
    }
    while (this.writes.length > 0 && this.writes[0]!.end <= end) this.writes.shift();
    if (this.head > 1024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
    return first;
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
      it.arrived.sink.fail(it.arrived.sequence, failure);
      for (const { sequence, sink } of it.repeated ?? []) sink.fail(sequence, failure);
    }
    this.queue = kept;
    this.head = 0;
    if (kept.length === 0) this.writes = [];
  }

  private hold(bytes: number): void {
    this.bytes += bytes;
    this.budget.pendingBytes += bytes;
  }
}
