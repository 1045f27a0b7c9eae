import {
  type Followed,
  type LogCallOptions,
  type LogEntry,
  type OrderedLog,
  VarlogError,
  Wakeups,
} from '../base/index.ts';
import { beginsBehind } from './replayed-machine.ts';

/**
 * A log that is another one up to a position, and goes on by itself from there: what is appended to it lies in memory, and the
 * other one is only read.
 *
 * ```
 *   the other one   1 … at │ at + 1 …           what is appended there is not seen
 *   this one        1 … at │ at + 1 …           in memory
 * ```
 *
 * It has the identity of the other one, since the commands up to `at` carry that. So whatever is made of it, a snapshot above
 * all, MUST NOT be kept where the other one's replicas look.
 */
export class ForkedLog implements OrderedLog {
  private readonly log: OrderedLog;
  private readonly at: number;
  private readonly bytesMax: number;
  private readonly own: LogEntry[] = [];
  private readonly wakeups = new Wakeups();
  private bytes = 0;

  constructor(log: OrderedLog, at: number, bytesMax: number) {
    this.log = log;
    this.at = at;
    this.bytesMax = bytesMax;
  }

  identity(options?: LogCallOptions): Promise<string> {
    return this.log.identity(options);
  }

  async append(commands: readonly Uint8Array[], options: LogCallOptions = {}): Promise<number> {
    options.signal?.throwIfAborted();
    const bytes = commands.reduce((sum, it) => sum + it.length, 0);
    if (this.bytes + bytes > this.bytesMax) throw isFull(this.bytesMax);
    const first = this.last + 1;
    this.bytes += bytes;
    // Of its own: the caller may reuse its buffers.
    for (const it of commands)
      this.own.push({ position: this.last + 1, command: new Uint8Array(it) });
    this.wakeups.wake();
    return first;
  }

  async *follow(from: number, options: { signal?: AbortSignal } = {}): AsyncGenerator<Followed> {
    const { at, own } = this;
    const { signal } = options;
    let next = from;
    if (next <= at) yield* this.shared(next, signal);
    for (next = Math.max(next, at + 1); signal?.aborted !== true; ) {
      if (next <= this.last) {
        const entries = own.slice(next - at - 1);
        next = this.last + 1;
        yield { kind: 'entries', entries, through: next - 1 };
      } else await this.wakeups.wait(signal);
    }
  }

  async tail(options: LogCallOptions = {}): Promise<number> {
    options.signal?.throwIfAborted();
    return this.last;
  }

  private get last(): number {
    return this.at + this.own.length;
  }

  private async *shared(from: number, signal: AbortSignal | undefined): AsyncGenerator<Followed> {
    const { at } = this;
    for await (const it of this.log.follow(from, signal === undefined ? {} : { signal })) {
      if (it.kind === 'snapshot') {
        if (it.position > at) throw beginsBehind(it.position, at);
        yield it;
        if (it.position === at) return;
      } else {
        const through = Math.min(it.through, at);
        const entries = it.entries.filter(({ position }) => position <= at);
        yield { kind: 'entries', entries, through };
        if (through === at) return;
      }
    }
  }
}

function isFull(bytesMax: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `a fork keeps its own commands in memory, ${bytesMax} bytes of them at most, and this one has no more room`,
    next: 'start another fork, or give a larger `forkBytesMax`',
    outcome: 'notAppended',
  });
}
