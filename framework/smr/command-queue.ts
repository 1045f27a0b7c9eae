import {
  type Codec,
  type LogCallOptions,
  type OrderedLog,
  type Ports,
  SequenceMap,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { encodeCommands, encodeOpen } from './envelope.ts';

const IN_FLIGHT_MAX = 4;
const APPEND_BYTES_MAX = 1024 * 1024;
const ATTEMPT_TIMEOUT_MS = 5_000;
const NOTHING = new Uint8Array();
const BACKOFF_MS = { first: 10, most: 1_000 };

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
 * The way of this replica's commands into the log. What gathers while appends are in flight leaves as
 * one append; what has an unknown outcome is sent again under the same session and sequence.
 */
export class CommandQueue<Command, Result> {
  private readonly log: OrderedLog;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly codec: Codec<Command>;
  private readonly bytesMax: number;
  private readonly closing = new AbortController();
  /** By sequence: the first key is what the client still awaits. */
  private readonly pending = new SequenceMap<Pending<Result>>();
  private waiting: Pending<Result>[] = [];
  private bytes = 0;
  private inFlight = 0;
  private opening = false;
  private scheduled = false;
  private session = 0;
  /** How far this replica has applied the log. */
  private seen = 0;
  private tag: Uint8Array | undefined;
  private stopped: unknown;

  constructor(
    log: OrderedLog,
    ports: Pick<Ports, 'clock' | 'random'>,
    codec: Codec<Command>,
    bytesMax: number,
  ) {
    this.log = log;
    this.ports = ports;
    this.codec = codec;
    this.bytesMax = bytesMax;
  }

  async execute(command: Command, options: LogCallOptions): Promise<Result> {
    const { signal, timeoutMs } = options;
    if (this.stopped !== undefined) throw this.stopped;
    signal?.throwIfAborted();
    const bytes = this.codec.encode(command);
    if (this.bytes + bytes.length > this.bytesMax) throw this.full();
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
          ? undefined
          : this.ports.clock.after(timeoutMs, () =>
              this.giveUp(pending, timedOut(timeoutMs, pending.attempts)),
            );
      const abort = (): void => this.giveUp(pending, signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const pending: Pending<Result> = {
        sequence: 0,
        session: 0,
        requestId: NOTHING,
        command: bytes,
        bytes: undefined,
        attempts: 0,
        settle: (error, result) => {
          timer?.cancel();
          signal?.removeEventListener('abort', abort);
          if (error === undefined) resolve(result as Result);
          else reject(error);
        },
      };
      this.bytes += bytes.length;
      pending.sequence = this.pending.add(pending);
      this.waiting.push(pending);
      this.schedule();
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

  /** The command took effect, now or before. */
  applied(session: number, sequence: number, result: Result): void {
    const pending = this.find(session, sequence);
    if (pending !== undefined) this.finish(pending, undefined, result);
  }

  /**
   * The command came too late for its session. One that was sent only once has certainly had no
   * effect and goes again in a new session; of any other nobody can tell.
   */
  expired(session: number, sequence: number): void {
    if (this.session === session) this.session = 0;
    const pending = this.find(session, sequence);
    if (pending === undefined) return;
    if (pending.attempts > 1) {
      this.finish(pending, sessionExpired());
      return;
    }
    this.pending.delete(sequence);
    pending.sequence = this.pending.add(pending);
    pending.attempts = 0;
    pending.bytes = undefined;
    this.waiting.push(pending);
    this.schedule();
  }

  /** After a snapshot: looks up what was decided in the entries that were jumped over. */
  reconcile(
    sessionIsOpen: (id: number) => boolean,
    resultOf: (id: number, sequence: number) => { result: Result } | undefined,
  ): void {
    if (this.session !== 0 && !sessionIsOpen(this.session)) this.session = 0;
    for (const pending of this.pending.values()) {
      if (pending.session === 0) continue;
      const known = resultOf(pending.session, pending.sequence);
      if (known !== undefined) this.finish(pending, undefined, known.result);
      else if (!sessionIsOpen(pending.session)) this.finish(pending, sessionExpired());
    }
  }

  stop(error: unknown): void {
    if (this.stopped !== undefined) return;
    this.stopped = error;
    this.closing.abort(error);
    for (const pending of this.pending.values())
      this.finish(pending, stoppedError(error, pending.attempts));
    this.waiting = [];
  }

  private find(session: number, sequence: number): Pending<Result> | undefined {
    const pending = this.pending.get(sequence);
    return pending?.session === session ? pending : undefined;
  }

  private giveUp(pending: Pending<Result>, error: unknown): void {
    if (this.pending.get(pending.sequence) === pending) this.finish(pending, error);
  }

  private finish(pending: Pending<Result>, error: unknown, result?: Result): void {
    this.pending.delete(pending.sequence);
    this.bytes -= pending.command.length;
    pending.settle(error, result);
  }

  private schedule(): void {
    if (this.scheduled || this.stopped !== undefined) return;
    this.scheduled = true;
    this.ports.clock.defer(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  private pump(): void {
    const { tag } = this;
    if (tag === undefined) return;
    while (this.stopped === undefined && this.waiting.length > 0 && this.inFlight < IN_FLIGHT_MAX) {
      if (this.session === 0) {
        if (!this.opening) void this.openSession(tag);
        return;
      }
      const batch = this.takeBatch();
      if (batch.length > 0) void this.send(batch, tag);
    }
  }

  private takeBatch(): Pending<Result>[] {
    const batch: Pending<Result>[] = [];
    let bytes = 0;
    let taken = 0;
    for (const pending of this.waiting) {
      if (batch.length > 0 && bytes + pending.command.length > APPEND_BYTES_MAX) break;
      taken++;
      if (this.pending.get(pending.sequence) !== pending) continue;
      batch.push(pending);
      bytes += pending.command.length;
    }
    this.waiting = taken === this.waiting.length ? [] : this.waiting.slice(taken);
    return batch;
  }

  private async openSession(tag: Uint8Array): Promise<void> {
    this.opening = true;
    for (let backoffMs = BACKOFF_MS.first; this.stopped === undefined; backoffMs *= 2) {
      try {
        const position = await this.append([encodeOpen(tag, this.ports.clock.wall())]);
        this.session = position;
        break;
      } catch (error) {
        if (!mayRetry(error)) {
          for (const it of this.waiting.splice(0)) this.giveUp(it, error);
          break;
        }
        await this.pause(backoffMs);
      }
    }
    this.opening = false;
    this.schedule();
  }

  private async send(batch: Pending<Result>[], tag: Uint8Array): Promise<void> {
    this.inFlight++;
    const acked = this.pending.firstKey ?? 0;
    const { session, seen } = this;
    const header = { tag, time: this.ports.clock.wall(), session, acked, seen };
    const envelopes = encodeCommands(header, batch);
    for (const [i, pending] of batch.entries()) {
      pending.session = this.session;
      pending.bytes = envelopes[i];
    }
    await this.deliver(batch);
    this.inFlight--;
    this.schedule();
  }

  private async deliver(batch: Pending<Result>[]): Promise<void> {
    let open = batch;
    for (let backoffMs = BACKOFF_MS.first; ; backoffMs *= 2) {
      // A command that moved to a new session meanwhile travels with another batch.
      open = open.filter((it) => it.bytes !== undefined && this.pending.get(it.sequence) === it);
      if (open.length === 0 || this.stopped !== undefined) return;
      for (const pending of open) pending.attempts++;
      try {
        await this.append(open.map((it) => it.bytes as Uint8Array));
        return;
      } catch (error) {
        const certain = VarlogError.is(error) && error.outcome === 'notAppended';
        if (certain) for (const pending of open) pending.attempts--;
        if (!mayRetry(error)) {
          if (open.length > 1) for (const pending of open) await this.deliver([pending]);
          else for (const pending of open) this.giveUp(pending, error);
          return;
        }
        await this.pause(backoffMs);
      }
    }
  }

  private append(commands: Uint8Array[]): Promise<number> {
    return this.log.append(commands, {
      signal: this.closing.signal,
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    });
  }

  private pause(ms: number): Promise<void> {
    const jittered = Math.min(ms, BACKOFF_MS.most) * (0.5 + this.ports.random.fraction() / 2);
    return sleep(this.ports.clock, jittered, this.closing.signal).catch(() => {});
  }

  private full(): VarlogError {
    return new VarlogError('RESOURCE_EXHAUSTED', {
      what: `commands of ${this.bytes} bytes are waiting for the log, and the limit is ${this.bytesMax}`,
      because: 'commands arrive faster than the log takes them, or it has no quorum',
      next: 'await earlier commands before executing more, or raise queueBytesMax',
      outcome: 'notAppended',
    });
  }
}

/** Sessions make it safe to repeat an append of unknown outcome; a certain refusal that will not change is final. */
function mayRetry(error: unknown): boolean {
  if (!VarlogError.is(error)) return false;
  if (error.code === 'CLOSED' || error.code === 'INVARIANT') return false;
  return error.retryable || error.outcome === 'unknown';
}

function timedOut(timeoutMs: number, attempts: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `a command was not applied within ${timeoutMs} ms`,
    next: 'see whether the log has a quorum',
    outcome: attempts === 0 ? 'notAppended' : 'unknown',
  });
}

function sessionExpired(): VarlogError {
  return new VarlogError('SESSION_EXPIRED', {
    what: 'the session of a command was closed before its outcome was known',
    because: 'it was idle for too long, or too many clients are active',
    next: 'read the state to see whether the command took effect',
    outcome: 'unknown',
  });
}

function stoppedError(cause: unknown, attempts: number): VarlogError {
  return new VarlogError(VarlogError.is(cause) ? cause.code : 'CLOSED', {
    what: 'the replica stopped before the result of a command was known',
    outcome: attempts === 0 ? 'notAppended' : 'unknown',
    cause,
  });
}
