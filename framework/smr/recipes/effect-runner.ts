import { type Observable, Subject } from 'rxjs';
import {
  Backoff,
  checkFunctions,
  checkNames,
  firstAbort,
  type LogCallOptions,
  type OptionNames,
  type Ports,
  Wakeups,
} from '../../base/index.ts';
import type { ElectionReplica, Leadership } from './election.ts';
import type { Outbox, PendingEffect } from './outbox.ts';

const BACKOFF_MS = { first: 100, most: 30_000 };

/** Does an effect. It is done when this resolves before `signal` is aborted. */
export type EffectHandler<Effect> = (
  effect: Effect,
  context: {
    /** See {@link PendingEffect}: what comes with it for the second time must not be done again. */
    readonly key: string;
    /** That of the leader: larger than those of all leaders before. */
    readonly token: number;
    /** Aborted when this process does not lead any more, or the runner is closed: another one does the effect then. */
    readonly signal: AbortSignal;
  },
) => Promise<void> | void;

/** An effect that its handler failed to do. It is tried again. */
export interface EffectFailure<Effect> extends PendingEffect<Effect> {
  readonly error: unknown;
  /** How often it has failed at this leader. */
  readonly attempts: number;
}

export interface EffectOptions<Command, Result, Machine, Effect> {
  /** Of the machine that has the outbox. */
  replica: ElectionReplica<Command, Result, Machine> & {
    caughtUp(options?: LogCallOptions): Promise<void>;
  };
  /** Where the machine keeps its outbox. */
  outbox: (machine: Machine) => Outbox<Effect>;
  /** Makes the command of the machine with which it calls `outbox.acknowledge`. */
  acknowledge: (key: string) => Command;
  /** When this process leads: of an election. */
  leadership$: Observable<Leadership | undefined>;
}

const NAMES: OptionNames<EffectOptions<never, never, never, never> & { ports: never }> = {
  replica: true,
  outbox: true,
  acknowledge: true,
  leadership$: true,
  ports: true,
};

/**
 * Does what lies in an outbox, while this process leads: the oldest first, one at a time, each until its handler resolves and
 * the machine knows that. When a leader dies in between, the next one does the effect again, under the same key: so whatever
 * tells keys apart sees each effect exactly once.
 */
export class EffectRunner<Command, Result, Machine, Effect> {
  /**
   * What could not be done, each time. Errors, and nothing is done any more, with what `outbox` threw, where an effect is no
   * plain data, and with what ended the election.
   */
  readonly failures$: Observable<EffectFailure<Effect>>;
  private readonly options: EffectOptions<Command, Result, Machine, Effect>;
  private readonly handler: EffectHandler<Effect>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly failures = new Subject<EffectFailure<Effect>>();
  private readonly closing = new AbortController();
  private readonly changed = new Wakeups();
  private readonly ended: Promise<void>;
  private machine: Machine | undefined;
  private leadership: Leadership | undefined;
  /** Key of the effect that was done, if the machine may not know it yet. */
  private done: string | undefined;

  constructor(
    options: EffectOptions<Command, Result, Machine, Effect>,
    handler: EffectHandler<Effect>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    checkNames(options, NAMES, 'runEffects');
    const { outbox, acknowledge } = options;
    checkFunctions({ outbox, acknowledge, handler });
    this.options = options;
    this.handler = handler;
    this.ports = ports;
    this.failures$ = this.failures.asObservable();
    const over = (): void => this.closing.abort();
    const states = options.replica.state$.subscribe({
      next: (machine) => {
        this.machine = machine;
        this.changed.wake();
      },
      // The replica failed, or was closed.
      error: over,
      complete: over,
    });
    let lost: { readonly error: unknown } | undefined;
    const leading = options.leadership$.subscribe({
      next: (leadership) => {
        this.leadership = leadership;
        this.changed.wake();
      },
      error: (error: unknown) => {
        lost = { error };
        over();
      },
    });
    const end = (failed: typeof lost): void => {
      over();
      states.unsubscribe();
      leading.unsubscribe();
      if (failed === undefined) this.failures.complete();
      else this.failures.error(failed.error);
    };
    this.ended = this.run().then(
      () => end(lost),
      (error: unknown) => end({ error }),
    );
  }

  /** Does no more effects. Resolves when the handler that is at work has ended. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.ended;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      const { leadership } = this;
      if (leadership === undefined) await this.changed.wait(signal);
      else {
        const leading = firstAbort(signal, leadership.signal);
        await this.lead(leadership.token, leading.signal).finally(leading.release);
      }
    }
  }

  private async lead(token: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.ports;
    const backoff = new Backoff(random, BACKOFF_MS.first, BACKOFF_MS.most);
    let isLevel = false;
    let attempts = 0;
    while (!signal.aborted) {
      // What the leader before has done must not be done again.
      if (!isLevel) isLevel = await this.isCaughtUp(signal);
      const next = isLevel ? this.next() : undefined;
      if (next === undefined) {
        await (isLevel ? this.changed.wait(signal) : backoff.pause(clock, signal));
        continue;
      }
      const failure = await this.doOne(next, token, signal);
      if (failure === undefined) {
        attempts = 0;
        backoff.reset();
      } else if (!signal.aborted) {
        this.failures.next({ ...next, error: failure.error, attempts: ++attempts });
        await backoff.pause(clock, signal);
      }
    }
  }

  /** A copy: the handler may do with it what it likes. */
  private next(): PendingEffect<Effect> | undefined {
    const first = this.machine && this.options.outbox(this.machine).first;
    return structuredClone(first);
  }

  private async isCaughtUp(signal: AbortSignal): Promise<boolean> {
    try {
      await this.options.replica.caughtUp({ signal });
      return true;
    } catch {
      return false;
    }
  }

  private async doOne(
    { key, effect }: PendingEffect<Effect>,
    token: number,
    signal: AbortSignal,
  ): Promise<{ error: unknown } | undefined> {
    const { replica, acknowledge } = this.options;
    try {
      if (this.done !== key) await this.handler(effect, { key, token, signal });
      // Who was told to leave it to another one may have done so.
      signal.throwIfAborted();
      this.done = key;
      await replica.execute(acknowledge(key));
      return undefined;
    } catch (error) {
      return { error };
    }
  }
}
