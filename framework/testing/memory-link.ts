import {
  type Clock,
  checkNames,
  type ErrorCode,
  type Followed,
  type LogCallOptions,
  type OptionNames,
  type OrderedLog,
  type OrderedLogSource,
  type Outcome,
  onAbort,
  sleep,
  VarlogError,
  Wakeups,
} from '../base/index.ts';
import type { RecordLog, TopicOptions } from '../log/index.ts';
import { type AppendFault, checkFaults } from './append-fault.ts';
import { MemoryRecords, type RecordStore } from './memory-records.ts';
import type { SeededRandom } from './simulator/random.ts';

/** The log at the far end of a link. */
export interface LinkedLog extends OrderedLog {
  /** Appends, and has that suffer the first of the faults, which is taken out. */
  appendUnder(faults: AppendFault[], commands: readonly Uint8Array[]): Promise<number>;
  compact(position: number, state: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  readonly recordStore: RecordStore;
  /** Whoever waits for something to change looks again. */
  wake(): void;
}

/** A call on its way. */
interface Way {
  /** What it takes longer than others. */
  readonly moreMs: number;
  /** What it fails with when only the answer does not get through. */
  readonly lost: ErrorCode;
}

const READ: Way = { moreMs: 0, lost: 'UNAVAILABLE' };
const WRITE: Way = { moreMs: 0, lost: 'APPEND_UNKNOWN' };

export interface LinkOptions {
  /** What delays take their time from. */
  clock: Clock;
  /** Where given, delays are drawn, with what was set as their mean, and entries are delivered in pieces. */
  random?: SeededRandom;
}

const NAMES: OptionNames<LinkOptions> = { clock: true, random: true };

/**
 * The way of one replica or client to a log in memory, with what is wrong with it. It outlives whoever uses it.
 *
 * ```ts
 * const link = log.link({ clock });
 * const counter = await startReplica({ machine: new Counter(), log: link, ports: { clock, random } });
 * link.followMs = 500; // this replica lags
 * link.failNext('unknownApplied'); // its next append takes effect, the acknowledgement is lost
 * link.cut(); // it reaches the log no more
 * ```
 */
export class MemoryLink implements OrderedLogSource {
  /** What each message takes, either way, in milliseconds. */
  latencyMs = 0;
  /** What `tail` takes longer than other calls: a linearizable query waits for it. */
  tailMs = 0;
  /** What entries take longer than other messages to get to whoever follows. */
  followMs = 0;
  private readonly log: LinkedLog;
  private readonly options: LinkOptions;
  private readonly mended = new Wakeups();
  private readonly faults: AppendFault[] = [];
  private whole = true;

  /** Made by `log.link({ clock })`. */
  constructor(log: LinkedLog, options: LinkOptions) {
    checkNames(options, NAMES, 'link');
    if (options.clock === undefined) throw noClock();
    this.log = log;
    this.options = options;
  }

  get isCut(): boolean {
    return !this.whole;
  }

  /** From now on nothing gets through: calls fail, and who follows waits. */
  cut(): void {
    this.whole = false;
  }

  mend(): void {
    this.whole = true;
    this.mended.wake();
    this.log.wake();
  }

  /** Makes the next appends over this link fail, one each. */
  failNext(...faults: AppendFault[]): void {
    checkFaults(faults);
    this.faults.push(...faults);
  }

  /** The log as it is seen over this link. `clock`: of the process that uses it; by default that of the link. */
  asOrderedLog(clock: Clock = this.options.clock): OrderedLog {
    const { log } = this;
    const ask = <T>(options: LogCallOptions, way: Way, work: () => Promise<T>): Promise<T> =>
      within(clock, options, () => this.call(clock, way, work));
    return {
      identity: (options = {}) => ask(options, READ, () => log.identity()),
      tail: (options = {}) => ask(options, { ...READ, moreMs: this.tailMs }, () => log.tail()),
      append: (commands, options = {}) => {
        const sent = commands.map((it) => new Uint8Array(it));
        return ask(options, WRITE, () => log.appendUnder(this.faults, sent));
      },
      compact: (position, state) => ask({}, READ, () => log.compact(position, state)),
      follow: (from, options = {}) => this.follow(clock, from, options.signal),
    };
  }

  /**
   * The records of the log as they are seen over this link, with the methods of a topic: see `MemoryLog.records`. What
   * follows them lags by `followMs`.
   */
  records(): RecordLog;
  records<T, In = T>(options: TopicOptions<T, In>): RecordLog<T, In>;
  records<T, In>(options?: TopicOptions<T, In>): RecordLog<T, In> {
    const { recordStore: store } = this.log;
    const { clock } = this.options;
    const link = this;
    const linked: RecordStore = {
      name: store.name,
      consumers: store.consumers,
      since: (from) => store.since(from),
      ports: { ...store.ports, clock },
      get first() {
        return store.first;
      },
      get last() {
        return store.last;
      },
      get connected() {
        return store.connected && !link.isCut;
      },
      checkConnected: () => {
        store.checkConnected();
        if (this.isCut) throw unreached('UNAVAILABLE', 'notAppended');
      },
      arrive: async (signal) => {
        for (let way = 0; way < 2; way++) await this.pass(clock, 0, signal).catch(() => {});
      },
      append: (batches, limits) =>
        within(clock, limits, () =>
          this.call(clock, WRITE, () => store.append(batches, {}, this.faults)),
        ),
      openProducer: async () => {
        const { epoch, takeOnce } = await this.call(clock, READ, () => store.openProducer());
        return {
          epoch,
          takeOnce: async (batch, producer) => {
            await this.arrive(clock, 0, undefined);
            const place = await takeOnce(batch, producer, this.faults);
            await this.arrive(clock, 0, undefined);
            return place;
          },
        };
      },
      fence: (token) => this.call(clock, READ, () => store.fence(token)),
      entriesFrom: (position) => store.entriesFrom(position),
      changed: async (signal) => {
        await store.changed(signal);
        await this.pass(clock, this.followMs, signal).catch(() => {});
      },
    };
    return new MemoryRecords(linked, options);
  }

  private async call<T>(clock: Clock, { moreMs, lost }: Way, work: () => Promise<T>): Promise<T> {
    await this.pass(clock, moreMs);
    if (this.isCut) throw unreached('UNAVAILABLE', 'notAppended');
    const answer = await work();
    await this.pass(clock, 0);
    if (this.isCut) throw unreached(lost, 'unknown');
    return answer;
  }

  private async *follow(
    clock: Clock,
    from: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Followed> {
    for await (const it of this.log.follow(from, signal === undefined ? {} : { signal })) {
      for (const piece of this.pieces(it)) {
        await this.arrive(clock, this.followMs, signal);
        if (signal?.aborted) return;
        yield piece;
      }
    }
  }

  /** Passes, however long the link is cut. What is aborted meanwhile arrives at once. */
  private async arrive(
    clock: Clock,
    moreMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.pass(clock, moreMs, signal).catch(() => {});
    while (this.isCut && signal?.aborted !== true) {
      await this.mended.wait(signal);
      // By its clock: a process that has ended meanwhile is given nothing any more.
      await this.pass(clock, moreMs, signal).catch(() => {});
    }
  }

  private pass(clock: Clock, moreMs: number, signal?: AbortSignal): Promise<void> {
    const { random } = this.options;
    const meanMs = this.latencyMs + moreMs;
    return sleep(clock, random === undefined ? meanMs : random.exponential(meanMs), signal);
  }

  /** Entries that came together need not be seen together. */
  private pieces(it: Followed): Followed[] {
    const { random } = this.options;
    if (random === undefined || it.kind === 'snapshot' || it.entries.length < 2) return [it];
    const at = random.below(it.entries.length);
    if (at === 0) return [it];
    const [head, tail] = [it.entries.slice(0, at), it.entries.slice(at)];
    return [
      { ...it, entries: head, through: head.at(-1)!.position },
      { ...it, entries: tail },
    ];
  }
}

/** What `work` comes to, within the limits of the call. It goes on behind them, as what was sent does. */
function within<T>(
  clock: Clock,
  { signal, timeoutMs = Number.POSITIVE_INFINITY }: LogCallOptions,
  work: () => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const isLimited = timeoutMs !== Number.POSITIVE_INFINITY;
    const timer = isLimited && clock.after(timeoutMs, () => reject(late(timeoutMs)));
    const forget = onAbort(signal, () => reject(signal?.reason));
    const answered = signal?.aborted === true ? Promise.reject(signal.reason) : work();
    const end = (): void => {
      if (timer) timer.cancel();
      forget();
    };
    answered.then(resolve, reject).finally(end);
  });
}

function late(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the log in memory did not answer within ${timeoutMs} ms`,
    because: 'the link to it is slow',
    outcome: 'unknown',
  });
}

function unreached(code: ErrorCode, outcome: Outcome): VarlogError {
  return new VarlogError(code, {
    what: 'the link to the log in memory is cut',
    next: 'call mend()',
    outcome,
  });
}

function noClock(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'a link has no clock',
    because: 'its delays take their time from one',
    next: 'give it one: log.link({ clock: new ManualClock() })',
  });
}
