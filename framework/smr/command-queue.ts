import {
  type Backoff,
  type Codec,
  checkKeptByJson,
  OncePerTurn,
  type OrderedLog,
  onAbort,
  type Ports,
  SequenceMap,
  VarlogError,
} from '../base/index.ts';
import { ATTEMPT_TIMEOUT_MS, appendBackoff, mayRetry, untilTaken } from './append-again.ts';
import { BlockedCommands } from './blocked-commands.ts';
import { isJson } from './codecs.ts';
import { full, sessionExpired, stoppedError, timedOut } from './command-errors.ts';
import { type CommandOutcome, resultOf } from './command-outcome.ts';
import type { Deadlines } from './deadlines.ts';
import { encodeCommands, encodeOpen, encodeTick, envelopeBytes } from './envelope.ts';
import { checkedRequestId, type ExecuteOptions } from './execute-options.ts';
import { nextBatch, type PendingCommand, type Settle } from './pending-command.ts';
import type { LogAvailability } from './replica-status.ts';

interface Codecs<Command, Result> {
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
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
  private readonly pending = new SequenceMap<PendingCommand>();
  private waiting: PendingCommand[] = [];
  private bytes = 0;
  /** Those for which there is no room yet. */
  private readonly blocked: BlockedCommands<PendingCommand>;
  private sending = false;
  private opening = false;
  private readonly turn: OncePerTurn;
  private session = 0;
  /** How far this replica has applied the log. */
  private seen = 0;
  private tag: Uint8Array | undefined;
  private stopped: unknown;
  private left: (sequence: number) => void = () => {};

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

  execute(command: Command, options: ExecuteOptions): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.submit(command, options, (error, outcome) => {
        if (outcome === undefined) return reject(error);
        try {
          resolve(resultOf(outcome, this.codecs.result));
        } catch (refused) {
          reject(refused);
        }
      });
    });
  }

  /**
   * Takes a command in; `settle` is called once, later. Throws what a call that is refused for certain is rejected with, and then
   * nobody is told anything.
   */
  submit(command: Command, options: ExecuteOptions, settle: Settle): PendingCommand {
    const { signal, timeoutMs } = options;
    if (this.stopped !== undefined) throw this.stopped;
    const requestId = checkedRequestId(options);
    signal?.throwIfAborted();
    // Here, and not by the codec: replicas of another version must encode what a machine schedules as this one does.
    if (isJson(this.codecs.command)) checkKeptByJson(command, 'the command');
    const bytes = this.codecs.command.encode(command);
    const size = envelopeBytes({ requestId, command: bytes });
    const fits = this.blocked.isEmpty && this.bytes + size <= this.bytesMax;
    const mayWait = options.whenFull === 'wait' && this.blocked.hasRoom(size);
    if (!fits && !mayWait) throw full(this.bytes, this.bytesMax);
    const callOff = this.deadlines.limit(timeoutMs, (ms) =>
      this.giveUp(pending, timedOut(ms, pending.attempts)),
    );
    let forget = (): void => {};
    const pending: PendingCommand = {
      sequence: 0,
      session: 0,
      requestId,
      command: bytes,
      bytes: undefined,
      attempts: 0,
      settle: (error, outcome) => {
        callOff();
        forget();
        settle(error, outcome);
      },
    };
    if (fits) this.enqueue(pending);
    else this.blocked.add(pending, size);
    forget = onAbort(signal, () => this.giveUp(pending, signal?.reason));
    return pending;
  }

  /** Whether nothing is under way. */
  get isIdle(): boolean {
    return this.pending.size === 0;
  }

  /** Those under way whose sequence is above this one, in their order. What waits for room comes behind them. */
  *after(sequence: number): Generator<PendingCommand> {
    for (const [, pending] of this.pending.from(sequence + 1)) yield pending;
  }

  /** Has `left` told the sequence of each that is not under way any more, or has got another place, before anybody else is told. */
  watch(left: (sequence: number) => void): void {
    this.left = left;
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
    this.sendAnew((it) => it === session, 1, forgotten);
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
    this.sendAnew((it) => !sessionIsOpen(it), 0, forgotten);
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

  /** The command that this replica awaits under this name, if it is one. */
  find(session: number, sequence: number): PendingCommand | undefined {
    const pending = this.pending.get(sequence);
    return pending?.session === session ? pending : undefined;
  }

  /** Awaits a command no more: one that was never sent takes no effect. */
  giveUp(pending: PendingCommand, error: unknown): void {
    if (this.blocked.delete(pending)) {
      pending.settle(error);
      this.unblock();
    } else if (this.isAwaited(pending)) {
      this.finish(pending, error);
    }
  }

  private settle(pending: PendingCommand, outcome: CommandOutcome): void {
    pending.bytes = undefined;
    this.finish(pending, undefined, outcome);
  }

  /**
   * Of closed sessions. What was sent only once has certainly had no effect where the entry that came too late was seen; where entries
   * were jumped over it may have had one, before its session was closed. What has a request id is known if it had. What had none goes
   * again in a new session, before what was never sent. Of any other nobody can tell.
   *
   * @param safe what was sent so often, and not more, had no effect
   */
  private sendAnew(isClosed: (session: number) => boolean, safe: number, forgotten: number): void {
    const closed = [...this.pending.values()].filter(
      (it) => it.session > 0 && isClosed(it.session),
    );
    if (closed.length === 0) return;
    const again: PendingCommand[] = [];
    for (const pending of closed) {
      const decidedOnce = pending.requestId.length > 0 && forgotten < pending.session;
      if (pending.attempts > safe && !decidedOnce) this.finish(pending, sessionExpired());
      else again.push(pending);
    }
    const waiting = this.waiting.filter((it) => this.isAwaited(it));
    this.waiting = [...again, ...waiting];
    for (const pending of this.waiting) {
      this.remove(pending);
      pending.sequence = this.pending.add(pending);
      Object.assign(pending, { session: 0, attempts: 0, bytes: undefined });
    }
    this.schedule();
  }

  private enqueue(pending: PendingCommand): void {
    this.bytes += envelopeBytes(pending);
    pending.sequence = this.pending.add(pending);
    this.waiting.push(pending);
    this.schedule();
  }

  private takeBlocked(): PendingCommand | undefined {
    return this.blocked.take(this.bytesMax - this.bytes);
  }

  private unblock(): void {
    if (this.stopped !== undefined) return;
    for (let it = this.takeBlocked(); it !== undefined; it = this.takeBlocked()) this.enqueue(it);
  }

  private finish(pending: PendingCommand, error: unknown, outcome?: CommandOutcome): void {
    this.remove(pending);
    this.bytes -= envelopeBytes(pending);
    pending.settle(error, outcome);
    this.unblock();
  }

  private isAwaited(pending: PendingCommand): boolean {
    return this.pending.get(pending.sequence) === pending;
  }

  private remove({ sequence }: PendingCommand): void {
    this.pending.delete(sequence);
    this.left(sequence);
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
    const { batch, rest } = nextBatch(this.waiting, (it) => this.isAwaited(it));
    this.waiting = rest;
    if (batch.length > 0) void this.send(batch, tag);
  }

  private async openSession(tag: Uint8Array): Promise<void> {
    const { ports, closing } = this;
    const append = (): Promise<number> => this.append([encodeOpen(tag, ports.clock.wall())]);
    this.opening = true;
    try {
      this.session = await untilTaken(append, ports, closing.signal);
    } catch (error) {
      for (const it of this.waiting.splice(0)) this.giveUp(it, error);
    }
    this.opening = false;
    this.schedule();
  }

  private async send(batch: PendingCommand[], tag: Uint8Array): Promise<void> {
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

  private async deliver(batch: PendingCommand[]): Promise<void> {
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
  private isUnderWay(pending: PendingCommand): boolean {
    if (pending.bytes === undefined) return false;
    if (this.isAwaited(pending)) return true;
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
