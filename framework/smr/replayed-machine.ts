import {
  checkCount,
  type Followed,
  type OrderedLog,
  onAbort,
  type Ports,
  VarlogError,
} from '../base/index.ts';
import { checkFirstState, newMachine } from './machine-checks.ts';
import type { MachineDefinition } from './machine-definition.ts';
import { MemoryApplier } from './memory-applier.ts';
import type { Applied } from './replica-options.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { StateMachine } from './state-machine.ts';

/** From where a replay begins, and how far it goes. */
export interface ReplayRange {
  readonly log: OrderedLog;
  readonly from: Pick<SnapshotStore, 'load'> | undefined;
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  /** Gives up all that waits for the log. */
  readonly signal: AbortSignal | undefined;
}

type AnyMachine = StateMachine<unknown, unknown, unknown>;

/**
 * A machine that applies what is in a log as a replica does, one entry at a time and when it is told to. It writes nothing,
 * neither into the log nor to the store of its snapshot.
 */
export class ReplayedMachine {
  readonly definition: MachineDefinition;
  readonly machine: AnyMachine;
  private readonly range: ReplayRange;
  private readonly applier: MemoryApplier<unknown, unknown, AnyMachine>;
  private outcomes: Applied<unknown, unknown>[] = [];
  /** Whether it has a state of its own, from a snapshot or from commands. */
  private isKnown = false;
  private tell: (it: Applied<unknown, unknown>) => void = () => {};
  /** Why it could not apply an entry: it applies nothing any more. */
  failure: unknown;
  private readonly forget: () => void;

  private constructor(definition: MachineDefinition, machine: AnyMachine, range: ReplayRange) {
    const { log, from, ports } = range;
    const { make: _, ...options } = definition;
    this.definition = definition;
    this.range = range;
    this.machine = machine;
    const snapshots = from && {
      load: (below?: number) => from.load(below),
      save: async (position: number) => position,
    };
    this.applier = new MemoryApplier<unknown, unknown, AnyMachine>(
      { ...options, machine, log: readOnly(log), ...(snapshots && { snapshots }) },
      ports,
    );
    this.applier.follower.applied$.subscribe({
      next: (it) => {
        this.outcomes.push(it);
        this.tell(it);
      },
      error: () => {},
    });
    this.forget = onAbort(range.signal, () => void this.applier.follower.close());
  }

  /**
   * With the state of the stored snapshot, where there is one: with `upTo`, of the newest that is not beyond it. Rejects like
   * `startReplica`, and with `NOT_FOUND` where all that is stored lies beyond it.
   */
  static async open(
    definition: MachineDefinition,
    range: ReplayRange,
    upTo?: number,
  ): Promise<ReplayedMachine> {
    const { from } = range;
    const limited = from === undefined || upTo === undefined ? from : snapshotsUpTo(from, upTo);
    const machine = newMachine(() => definition.make(), '`make`');
    checkFirstState(machine, definition.codec);
    const opened = new ReplayedMachine(definition, machine, { ...range, from: limited });
    try {
      await opened.applier.follower.identify(range.ports.clock);
      await opened.applier.open();
    } catch (error) {
      await opened.close();
      range.signal?.throwIfAborted();
      throw error;
    }
    opened.isKnown = opened.position > 0;
    return opened;
  }

  /** All entries up to here were applied. */
  get position(): number {
    return this.applier.position;
  }

  /**
   * Applies what comes next in the log. Resolves with the commands that took effect, and `tell`s each before the next one is
   * applied: of one entry there are several where timers were due. Rejects where the signal was aborted, and with errors of the
   * log that may pass; what is the machine's is {@link failure}.
   */
  async take(
    next: Followed,
    tell: (it: Applied<unknown, unknown>) => void = () => {},
  ): Promise<readonly Applied<unknown, unknown>[]> {
    this.outcomes = [];
    this.tell = tell;
    if (this.failure === undefined) {
      try {
        await this.apply(next);
      } catch (error) {
        // To be given up is no failure of the machine, nor is what the log may answer another time.
        this.range.signal?.throwIfAborted();
        if (VarlogError.is(error) && error.retryable) throw error;
        this.failure = error;
      }
    }
    this.isKnown ||= next.kind === 'snapshot' || this.outcomes.length > 0;
    return this.outcomes;
  }

  /**
   * Applies what lies in the log up to `position`. Rejects with what it failed with, and with `TRIMMED` where the log begins
   * behind it.
   */
  async reach(position: number): Promise<void> {
    const { log, signal } = this.range;
    for await (const next of entriesOf(log, this.position, position, signal)) {
      await this.take(next);
      if (this.failure !== undefined) throw this.failure;
    }
  }

  /** Another version of the machine, which takes over the state that this one has now, as from a snapshot. */
  async handOver(definition: MachineDefinition): Promise<ReplayedMachine> {
    const captured = this.applier.capture();
    const stored: Uint8Array[] = [];
    for await (const chunk of captured?.chunks ?? []) stored.push(chunk);
    // It is read once more where an entry is to be passed over: the other one starts over from here.
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield* stored;
    }
    const load = async (below?: number) =>
      below === undefined ? captured && { ...captured, chunks: chunks() } : undefined;
    return ReplayedMachine.open(definition, { ...this.range, from: { load } });
  }

  /** Throws `NOT_FOUND` where all that it took was somebody else's: then nothing was replayed, and nothing was shown. */
  checkName(): void {
    const { foreign } = this.applier;
    if (this.isKnown || foreign === 0) return;
    const { name = 'machine' } = this.definition;
    throw new VarlogError('NOT_FOUND', {
      what: `no command of the machine "${name}" is among the ${foreign} records up to position ${this.position}`,
      because: 'commands carry the name of their machine and the log that they were written to',
      next: 'export the name that its replicas are given, as `name` of the machine; and check the topic',
    });
  }

  close(): Promise<void> {
    this.forget();
    return this.applier.follower.close();
  }

  private async apply(next: Followed): Promise<void> {
    const { applier, range } = this;
    try {
      if (next.kind === 'snapshot') await applier.restore(next.state);
      else applier.apply(next.entries, next.through);
    } catch (error) {
      if (next.kind === 'snapshot' || !(await applier.recover(error))) throw error;
      // It is to be passed over: the state is one from before it.
      const { signal } = range;
      for await (const again of entriesOf(range.log, applier.position, next.through, signal))
        await this.apply(again);
    }
  }
}

/**
 * How far a replay goes: to `to`, or to the tail. Rejects with `BEYOND_TAIL` where the log ends before it: it would wait for
 * what nobody may ever append.
 */
export async function endOf(
  { log, signal }: Pick<ReplayRange, 'log' | 'signal'>,
  to?: number,
): Promise<number> {
  checkCount(to, 'to', 0);
  const tail = await log.tail(signal === undefined ? {} : { signal });
  if (to === undefined || to <= tail) return to ?? tail;
  throw new VarlogError('BEYOND_TAIL', {
    what: `the log ends at ${tail}, before ${to}`,
    next: 'replay it up to its last entry, or append first',
    details: { position: to, tail },
  });
}

/** The same, up to a position, one entry at a time, so that each is a step of its own. */
export function* singly(it: Followed, to = Number.POSITIVE_INFINITY): Generator<Followed> {
  if (it.kind === 'snapshot') {
    yield it;
    return;
  }
  for (const entry of it.entries) {
    const { position: through } = entry;
    if (through <= to) yield { kind: 'entries', entries: [entry], through };
  }
}

/**
 * What lies in a log after a position, up to `to`: one entry at a time. Throws `TRIMMED` where the log begins with a snapshot from
 * behind `to`: what lies in between would be missed.
 */
export async function* entriesOf(
  log: OrderedLog,
  after: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Followed> {
  if (after >= to) return;
  for await (const it of log.follow(after + 1, signal === undefined ? {} : { signal })) {
    if (it.kind === 'snapshot' && it.position > to) throw beginsBehind(it.position, to);
    yield* singly(it, to);
    if ((it.kind === 'snapshot' ? it.position : it.through) >= to) return;
  }
  signal?.throwIfAborted();
  throw new VarlogError('UNAVAILABLE', { what: 'the log ended before its tail was read' });
}

/** What is stored, as if it ended at a position. */
export function snapshotsUpTo(
  from: Pick<SnapshotStore, 'load'>,
  upTo: number,
): Pick<SnapshotStore, 'load'> {
  return {
    load: async (below = Number.POSITIVE_INFINITY) => {
      const stored = await from.load(Math.min(below, upTo + 1));
      if (stored === undefined || stored.position <= upTo) return stored;
      throw new VarlogError('NOT_FOUND', {
        what: `the stored snapshot is at position ${stored.position}, behind ${upTo}, up to which the log is to be read`,
        next: `give an older snapshot, or none where the log still has its first entry; or go as far as ${stored.position}`,
        details: { position: stored.position, upTo },
      });
    },
  };
}

export function beginsBehind(firstAvailable: number, upTo: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `the log begins with a snapshot at position ${firstAvailable}, behind ${upTo}, up to which it is to be read`,
    next: `give a snapshot from before as \`from\`, or go as far as ${firstAvailable}`,
    details: { position: upTo, firstAvailable: firstAvailable + 1 },
  });
}

function readOnly(log: OrderedLog): OrderedLog {
  return {
    identity: (options) => log.identity(options),
    follow: (from, options) => log.follow(from, options),
    tail: (options) => log.tail(options),
    append: async () => {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: 'a machine that is replayed appends nothing',
        outcome: 'notAppended',
      });
    },
  };
}
