import { type OrderedLog, type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import {
  type ApplyContext,
  type Shadow,
  type ShadowStatus,
  startShadow,
} from '../../framework/smr/index.ts';
import { type Command, Counter } from './versioned-counter.ts';

/** The version that errs does so at every command with a multiple of it as its id. */
const ERRS_EVERY = 7;
const RETRY_MS = 100;
const END_MS = 30_000;

export type ShadowSight =
  | 'a difference in a result found by a shadow'
  | 'a difference in the state found by a shadow'
  | 'a shadow whose code is too old';

export interface ShadowsOptions {
  readonly log: OrderedLog;
  /** The version of the code, and of both machines. */
  readonly code: number;
  readonly ports: Ports;
  /** Is told of what a shadow does that it must not do. */
  readonly violated: (what: string) => void;
  readonly saw: (sight: ShadowSight) => void;
}

/** What runs beside one replica, in its process: a shadow in which nothing differs, and one in which something does. */
export class Shadows {
  private readonly options: ShadowsOptions;
  private readonly closing = new AbortController();
  /** In what the version that errs does so. */
  private readonly errsIn: 'result' | 'state';
  private readonly twin: Promise<Watched | undefined>;
  private readonly erring: Promise<Watched | undefined>;
  /** The first position at which it did. */
  private erredAt: number | undefined;

  constructor(options: ShadowsOptions) {
    const { code, ports } = options;
    this.options = options;
    this.errsIn = ports.random.below(2) === 0 ? 'result' : 'state';
    const erring = Shadows.erringCounter(this.errsIn, (position) => {
      this.erredAt ??= position;
    });
    this.twin = this.start(() => new Counter(code));
    this.erring = this.start(() => new erring(code));
  }

  private static erringCounter(inWhat: 'result' | 'state', erred: (position: number) => void) {
    return class extends Counter {
      override apply(command: Command, context: ApplyContext<Command>): string {
        const result = super.apply(command, context);
        // Commands of timers have negative ids.
        if (command.id < 0 || command.id % ERRS_EVERY !== 0) return result;
        erred(context.position);
        if (inWhat === 'result') return `${result}, or so`;
        this.value++;
        return result;
      }
    };
  }

  /** Both have applied all that there is by now, the last of which is a command at which one errs. */
  async end(): Promise<void> {
    const { log, violated } = this.options;
    const tail = await log.tail();
    const twin = await this.reached(await this.twin, tail);
    const found = await twin?.shadow.compare();
    if (twin === undefined || found !== undefined) violated('the shadow of the same code is over');
    await this.reached(await this.erring, tail);
    this.lookAtErring(await this.erring);
  }

  async close(): Promise<void> {
    this.closing.abort();
    for (const it of [await this.twin, await this.erring]) await it?.shadow.close();
  }

  /** `undefined` where it was closed before, or its code is too old. */
  private async start(machine: () => Counter): Promise<Watched | undefined> {
    const { log, code, ports } = this.options;
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        const shadow = await startShadow({
          ...{ log, ports, signal, stateEvery: 1 },
          against: { make: () => new Counter(code) },
          machine: { make: machine },
        });
        return this.watched(shadow);
      } catch (error) {
        if (signal.aborted || this.isTooOld(error)) return undefined;
        // The log may be trimmed between the look at its tail and the way there.
        if (!VarlogError.is(error) || !(error.retryable || error.code === 'TRIMMED'))
          this.options.violated(`a shadow did not start: ${String(error)}`);
        await sleep(ports.clock, RETRY_MS, signal).catch(() => {});
      }
    }
    return undefined;
  }

  private watched(shadow: Shadow): Watched {
    const watched: Watched = { shadow, status: undefined };
    shadow.status$.subscribe((status) => {
      watched.status = status;
      const { state, error } = status;
      if (state === 'failed' && !this.isTooOld(error))
        this.options.violated(`a shadow failed: ${String(error)}`);
      if (state === 'differs') void this.differs(watched);
    });
    return watched;
  }

  private async differs(watched: Watched): Promise<void> {
    if (watched === (await this.erring)) this.lookAtErring(watched);
    else this.options.violated(`the same code differs: ${JSON.stringify(watched.status)}`);
  }

  private lookAtErring(watched: Watched | undefined): void {
    const { errsIn, erredAt } = this;
    const { violated, saw } = this.options;
    const { state, difference } = watched?.status ?? {};
    if (state !== 'differs' || difference?.position !== erredAt || difference?.kind !== errsIn) {
      violated(
        `the other version erred in the ${errsIn} at ${erredAt}, and its shadow ${state} by ${JSON.stringify(difference)}`,
      );
      return;
    }
    saw(
      errsIn === 'result'
        ? 'a difference in a result found by a shadow'
        : 'a difference in the state found by a shadow',
    );
  }

  /** `undefined` where it has come to an end before. */
  private async reached(
    watched: Watched | undefined,
    position: number,
  ): Promise<Watched | undefined> {
    const { clock } = this.options.ports;
    const until = clock.now() + END_MS;
    while (watched?.status !== undefined && clock.now() < until) {
      const { state, position: at } = watched.status;
      if (state !== 'comparing' && state !== 'connecting') return undefined;
      if (at >= position) return watched;
      await sleep(clock, RETRY_MS);
    }
    return undefined;
  }

  private isTooOld(error: unknown): boolean {
    const isSo = /rules \d are in force/.test(String(error));
    if (isSo) this.options.saw('a shadow whose code is too old');
    return isSo;
  }
}

interface Watched {
  readonly shadow: Shadow;
  status: ShadowStatus | undefined;
}
