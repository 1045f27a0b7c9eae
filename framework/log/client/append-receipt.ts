import { type Clock, VarlogError } from '../../base/index.ts';
import type { AppendTimes } from '../../wire/gen/log.ts';
import { TimeLeft } from '../time-left.ts';

/**
 * Where the time of one append went, in milliseconds, by the stations of docs/walk-one-append.md: what it waited for, in
 * the order in which it came there. All parts together are `total`. Each is a difference on the clock of one machine;
 * clocks of several are never compared, so that the two ways of a wire cannot be told apart.
 */
export interface AppendReceipt {
  /** From the call until the acknowledgement was here. */
  readonly total: number;
  /** In this client: framing, waiting for room and for the turn to end, and tries that certainly failed. */
  readonly clientQueue: number;
  /** Between client and primary, there and back, with what both ends of the connection queue. */
  readonly wire: number;
  /** On the primary, behind the write that was under way. */
  readonly primaryQueue: number;
  /** The write to the primary's disk that made it durable. 0 where other replicas were faster. */
  readonly disk: number;
  /** Until enough other replicas had it too, as far as that took longer than the primary's own write. */
  readonly replicas: number;
  /** Between the primary and the leader of the metadata repository: the report there, and the commit back. */
  readonly repositoryWire: number;
  /** Behind the cuts that were under way. */
  readonly cut: number;
  /** From the proposal of its cut until that was committed, applied, and passed on. */
  readonly raft: number;
  /** On the primary, from the commit until the answer left. */
  readonly answer: number;
  /** What nobody has measured: on nodes of an older version, or while the metadata repository changed its leader. */
  readonly other: number;
}

/** Measures one append whose caller asked for a receipt. */
export class ReceiptTimer {
  private readonly clock: Clock;
  private readonly begunAt: number;
  private sentAt: number;

  constructor(clock: Clock) {
    this.clock = clock;
    this.begunAt = clock.now();
    this.sentAt = this.begunAt;
  }

  /** The try that is under way left at `at`. */
  sent(at: number): void {
    this.sentAt = at;
  }

  /** Acknowledged just now; `times` as the primary tells them. */
  receipt(times: AppendTimes | null): AppendReceipt {
    const total = Math.max(0, this.clock.now() - this.begunAt);
    const left = new TimeLeft(total);
    const clientQueue = left.take(this.sentAt - this.begunAt);
    const part = (microseconds: number | undefined): number =>
      left.take((microseconds ?? 0) / 1_000);
    const parts = {
      primaryQueue: part(times?.primaryQueue),
      disk: part(times?.disk),
      replicas: part(times?.replicas),
      repositoryWire: part(times?.repositoryWire),
      cut: part(times?.cut),
      raft: part(times?.raft),
      answer: part(times?.answer),
    };
    const unmeasured = part(times?.other);
    // Without the primary's word, what is left is not the wire alone.
    const { rest } = left;
    const wire = times === null ? 0 : rest;
    const other = times === null ? rest : unmeasured;
    return { total, clientQueue, wire, ...parts, other };
  }
}

/** What measures an append, if its caller asked for that. Throws `INVALID_ARGUMENT`. */
export function receiptTimer(receipt: unknown, clock: Clock): ReceiptTimer | undefined {
  if (receipt === undefined || receipt === false) return undefined;
  if (receipt === true) return new ReceiptTimer(clock);
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `receipt is ${String(receipt)}: it must be true or false`,
    next: 'give true to hear where the time of the append went, or leave it out',
    outcome: 'notAppended',
  });
}
