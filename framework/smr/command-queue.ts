import {
  type Backoff,
  type Codec,
  OncePerTurn,
  type OrderedLog,
  onAbort,
  type Ports,
  SequenceMap,
  VarlogError,
} from '../base/index.ts';
import { ATTEMPT_TIMEOUT_MS, appendBackoff, appendUntilTaken, mayRetry } from './append-again.ts';
import { BlockedCommands } from './blocked-commands.ts';
import { full, sessionExpired, stoppedError, timedOut } from './command-errors.ts';
import { type CommandOutcome, resultOf } from './command-outcome.ts';
import type { Deadlines } from './deadlines.ts';
import { encodeCommands, encodeOpen, encodeTick, envelopeBytes } from './envelope.ts';
import { checkedRequestId, type ExecuteOptions } from './execute-options.ts';
import type { LogAvailability } from './replica-status.ts';

const APPEND_BYTES_MAX = 1024 * 1024;
/** See `encodeBatch`. */
const BATCH_FRAME_BYTES = 4;

interface Codecs<Command, Result> {
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
}

interface Pending<Result> {
  sequence: number;
  session: number;
  readonly requestId: Uint8Array;
  readonly command: Uint8Array;
  bytes: Uint8Array | undefined;
  attempts: number;
  readonly settle: (error: unknown, result?: Result) => void;
}

/**
 * The way of this replica's commands into the log, in the order in which they came: those that take effect do so in that
 * order. One append is in flight at a time, so that none passes another, and what gathers meanwhile leaves as the next one.
 * What has an unknown outcome is sent again under the same session and sequence, before anything that came later, also where
 * its caller has given up.
 *
 * ```
 *   blocked ──▶ waiting ──▶ one append ──▶ in the log ──▶ decided: settled
 *                  ▲            │ session closed: all of it takes no effect any more
 *                  └────────────┘ goes again before those that wait
 * ```
 */
export class CommandQueue<Command, Result> {
  private readonly log: OrderedLog;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly codecs: Codecs<Command, Result>;
  private readonly bytesMax: number;
  private readonly deadlines: Deadlines;
  private readonly availability: LogAvailability;
  private readonly closing = new AbortController();
  /** By sequence: the first key is what the client still awaits. */
  private readonly pending = new SequenceMap<Pending<Result>>();
  private waiting: Pending<Result>[] = [];
  private bytes = 0;
  /** Those for which there is no room yet. */
  private readonly blocked: BlockedCommands<Pending<Result>>;
  private sending = false;
  private opening = false;
  private readonly turn: OncePerTurn;
  private session = 0;
  /** How far this replica has applied the log. */
  private seen = 0;
  private tag: Uint8Array | undefined;
  private stopped: unknown;

  constructor(
    log: OrderedLog,
    ports: Pick<Ports, 'clock' | 'random'>,
    codecs: Codecs<Command, Result>,
    bytesMax: number,
    deadlines: Deadlines,
    availability: LogAvailability,
  ) {
    this.deadlines = deadlines;
    this.availability = availability;
    this.log = log;
    this.ports = ports;
    this.turn = new OncePerTurn(ports.clock, () => this.pump());
    this.codecs = codecs;
    this.bytesMax = bytesMax;
    this.blocked = new BlockedCommands(bytesMax);
  }

  async execute(command: Command, options: ExecuteOptions): Promise<Result> {
    const { signal, timeoutMs } = options;
    if (this.stopped !== undefined) throw this.stopped;
    signal?.throwIfAborted();
    const requestId = checkedRequestId(options);
    const bytes = this.codecs.command.encode(command);
    const size = envelopeBytes({ requestId, command: bytes });
    const fits = this.blocked.isEmpty && this.bytes + size <= this.bytesMax;
    const mayWait = options.whenFull === 'wait' && this.blocked.hasRoom(size);
    if (!fits && !mayWait) throw full(this.bytes, this.bytesMax);
    return new Promise((resolve, reject) => {
      const callOff = this.deadlines.limit(timeoutMs, (ms) =>
        this.giveUp(pending, timedOut(ms, pending.attempts)),
      );
      let forget = (): void => {};
      const pending: Pending<Result> = {
        sequence: 0,
        session: 0,
        requestId,
        command: bytes,
        bytes: undefined,
        attempts: 0,
        settle: (error, result) => {
          callOff();
          forget();
          if (error === undefined) resolve(result as Result);
          else reject(error);
        },
      };
      if (fits) this.enqueue(pending);
      else this.blocked.add(pending, size);
      forget = onAbort(signal, () => this.giveUp(pending, signal?.reason));
    });
  }

  /** From now on it is known which log this is, and commands leave. */
  bind(tag: Uint8Array): void {
    this.tag = tag;
    this.schedule();
  }

  advance(position: number): void {
    this.seen = position;
  }

  /** Session in which this replica writes; 0 where none is open. */
  get currentSession(): number {
    return this.session;
  }

  /**
   * Brings the log's time forward by the clock of this replica. Resolves with the position of the entry that does it.
   * Rejects with errors of the log: the entry may be there all the same, which does no harm.
   */
  async tick(): Promise<number> {
    const { tag, session, seen } = this;
    if (this.stopped !== undefined) throw this.stopped;
    if (tag === undefined || this.opening) return 0;
    if (session !== 0)
      return this.append([encodeTick({ tag, time: this.ports.clock.wall(), session, seen })]);
    await this.openSession(tag);
    return this.session;
  }

  /** The command was decided, now or before. */
  resolve(session: number, sequence: number, outcome: CommandOutcome): void {
    const pending = this.find(session, sequence);
    if (pending !== undefined) this.settle(pending, outcome);
  }

  /**
   * Something came too late for its session, so all that is pending in it takes no effect from there on, wherever it is.
   *
   * @param forgotten position of the newest request that the replicas have forgotten
   */
  expired(session: number, forgotten: number): void {
    if (session !== this.session) return;
    this.session = 0;
    this.sendAnew((it) => it === session, forgotten);
  }

  /** After a snapshot: looks up what was decided in the entries that were jumped over. */
  reconcile(
    sessionIsOpen: (id: number) => boolean,
    outcomeOf: (id: number, sequence: number) => CommandOutcome | undefined,
    forgotten: number,
  ): void {
    if (this.session !== 0 && !sessionIsOpen(this.session)) this.session = 0;
    for (const pending of [...this.pending.values()]) {
      if (pending.session === 0) continue;
      const known = outcomeOf(pending.session, pending.sequence);
      if (known !== undefined) this.settle(pending, known);
    }
    this.sendAnew((it) => !sessionIsOpen(it), forgotten);
  }

  stop(error: unknown): void {
    if (this.stopped !== undefined) return;
    this.stopped = error;
    this.closing.abort(error);
    for (const pending of this.pending.values())
      this.finish(pending, stoppedError(error, pending.attempts));
    this.waiting = [];
    for (let it = this.takeBlocked(); it !== undefined; it = this.takeBlocked())
      it.settle(stoppedError(error, 0));
  }

  private find(session: number, sequence: number): Pending<Result> | undefined {
    const pending = this.pending.get(sequence);
    return pending?.session === session ? pending : undefined;
  }

  private settle(pending: Pending<Result>, outcome: CommandOutcome): void {
    pending.bytes = undefined;
    try {
      this.finish(pending, undefined, resultOf(outcome, this.codecs.result));
    } catch (error) {
      this.finish(pending, error);
    }
  }

  /**
   * Of closed sessions. What was sent only once has certainly had no effect, and what has a request id is known if it had:
   * they go again in a new session, before those that were never sent. Of any other nobody can tell.
   */
  private sendAnew(isClosed: (session: number) => boolean, forgotten: number): void {
    const closed = [...this.pending.values()].filter(
      (it) => it.session > 0 && isClosed(it.session),
    );
    if (closed.length === 0) return;
    const again: Pending<Result>[] = [];
    for (const pending of closed) {
      const decidedOnce = pending.requestId.length > 0 && forgotten < pending.session;
      if (pending.attempts > 1 && !decidedOnce) this.finish(pending, sessionExpired());
      else again.push(pending);
    }
    const waiting = this.waiting.filter((it) => this.pending.get(it.sequence) === it);
    this.waiting = [...again, ...waiting];
    for (const pending of this.waiting) {
      this.pending.delete(pending.sequence);
      pending.sequence = this.pending.add(pending);
      Object.assign(pending, { session: 0, attempts: 0, bytes: undefined });
    }
    this.schedule();
  }

  private giveUp(pending: Pending<Result>, error: unknown): void {
    if (this.blocked.delete(pending)) {
      pending.settle(error);
      this.unblock();
    } else if (this.pending.get(pending.sequence) === pending) {
      this.finish(pending, error);
    }
  }

  private enqueue(pending: Pending<Result>): void {
    this.bytes += envelopeBytes(pending);
    pending.sequence = this.pending.add(pending);
    this.waiting.push(pending);
    this.schedule();
  }

  private takeBlocked(): Pending<Result> | undefined {
    return this.blocked.take(this.bytesMax - this.bytes);
  }

  private unblock(): void {
    if (this.stopped !== undefined) return;
    for (let it = this.takeBlocked(); it !== undefined; it = this.takeBlocked()) this.enqueue(it);
  }

  private finish(pending: Pending<Result>, error: unknown, result?: Result): void {
    this.pending.delete(pending.sequence);
    this.bytes -= envelopeBytes(pending);
    pending.settle(error, result);
    this.unblock();
  }

  private schedule(): void {
    if (this.stopped === undefined) this.turn.schedule();
  }

  private pump(): void {
    const { tag } = this;
    if (tag === undefined) return;
    if (this.stopped !== undefined || this.sending || this.waiting.length === 0) return;
    if (this.session === 0) {
      if (!this.opening) void this.openSession(tag);
      return;
    }
    const batch = this.takeBatch();
    if (batch.length > 0) void this.send(batch, tag);
  }

  private takeBatch(): Pending<Result>[] {
    const batch: Pending<Result>[] = [];
    let bytes = 0;
    let taken = 0;
    for (const pending of this.waiting) {
      if (batch.length > 0 && bytes + framedBytes(pending) > APPEND_BYTES_MAX) break;
      taken++;
      if (this.pending.get(pending.sequence) !== pending) continue;
      batch.push(pending);
      bytes += framedBytes(pending);
    }
    this.waiting = taken === this.waiting.length ? [] : this.waiting.slice(taken);
    return batch;
  }

  private async openSession(tag: Uint8Array): Promise<void> {
    const { ports, closing } = this;
    const append = (): Promise<number> => this.append([encodeOpen(tag, ports.clock.wall())]);
    this.opening = true;
    try {
      this.session = await appendUntilTaken(append, ports, closing.signal);
    } catch (error) {
      for (const it of this.waiting.splice(0)) this.giveUp(it, error);
    }
    this.opening = false;
    this.schedule();
  }

  private async send(batch: Pending<Result>[], tag: Uint8Array): Promise<void> {
    this.sending = true;
    const acked = this.pending.firstKey ?? 0;
    const { session, seen } = this;
    const header = { tag, time: this.ports.clock.wall(), session, acked, seen };
    const envelopes = encodeCommands(header, batch);
    for (const [i, pending] of batch.entries()) {
      pending.session = this.session;
      pending.bytes = envelopes[i];
    }
    await this.deliver(batch);
    this.sending = false;
    this.schedule();
  }

  private async deliver(batch: Pending<Result>[]): Promise<void> {
    let open = batch;
    let backoff: Backoff | undefined;
    for (;;) {
      open = open.filter((it) => this.isUnderWay(it));
      if (open.length === 0 || this.stopped !== undefined) return;
      for (const pending of open) pending.attempts++;
      try {
        await this.append(open.map((it) => it.bytes as Uint8Array));
        return;
      } catch (error) {
        open = open.filter((it) => this.isUnderWay(it));
        const certain = VarlogError.is(error) && error.outcome === 'notAppended';
        if (certain) for (const pending of open) pending.attempts--;
        if (!mayRetry(error)) {
          if (open.length > 1) {
            const half = open.length >>> 1;
            await this.deliver(open.slice(0, half));
            await this.deliver(open.slice(half));
          } else for (const pending of open) this.giveUp(pending, error);
          return;
        }
        backoff ??= appendBackoff(this.ports);
        await backoff.pause(this.ports.clock, this.closing.signal);
      }
    }
  }

  /**
   * Whether it has to be in the log before anything later. What its caller gave up has to, too, where it may come late by
   * itself. What is decided has not, nor what goes again in a new session.
   */
  private isUnderWay(pending: Pending<Result>): boolean {
    if (pending.bytes === undefined) return false;
    if (this.pending.get(pending.sequence) === pending) return true;
    return pending.attempts > 0 && pending.session === this.session;
  }

  private async append(commands: Uint8Array[]): Promise<number> {
    const { signal } = this.closing;
    try {
      const position = await this.log.append(commands, { signal, timeoutMs: ATTEMPT_TIMEOUT_MS });
      this.availability.reachable();
      return position;
    } catch (error) {
      if (mayRetry(error)) this.availability.unreachable(error);
      throw error;
    }
  }
}

/** Its share of an append: a batch writes its length before it. */
function framedBytes(pending: Parameters<typeof envelopeBytes>[0]): number {
  return BATCH_FRAME_BYTES + envelopeBytes(pending);
}
