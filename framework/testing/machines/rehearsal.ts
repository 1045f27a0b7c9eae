import { reasonOf, VarlogError } from '../../base/index.ts';
import { Pieces, type StateMachine } from '../../smr/index.ts';
import { LogContext } from '../../smr/log-context.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import { Rules } from '../../smr/rules.ts';
import type { Timer } from '../../smr/timer-queue.ts';
import { TIMER_LIMITS, TimerTable } from '../../smr/timer-table.ts';
import { defect } from './defect.ts';
import { differenceOf } from './difference.ts';
import type { Subject } from './machine-source.ts';
import { isInPieces } from './state-bytes.ts';
import type { Step, StepOutcome } from './step.ts';

/** A state, encoded, and what was scheduled then. */
interface RehearsedState {
  readonly bytes: Uint8Array;
  readonly timers: readonly Timer[];
  readonly timersMade: number;
}

/** A snapshot that was begun, and what it gave when it was read at once. */
interface BegunSnapshot {
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly rest: () => Uint8Array;
}

/**
 * A machine that applies commands outside of a replica. Keeps an eye on the results that it has given out, and on pieces of its
 * state that are read when it has gone on.
 */
export class Rehearsal<Command, Result, Snapshot, Machine> {
  private readonly subject: Subject<Command, Result, Snapshot, Machine>;
  private readonly machine: StateMachine<Command, Result, Snapshot>;
  private readonly timers = new TimerTable(TIMER_LIMITS);
  private readonly context: LogContext<Command>;
  private readonly given: { position: number; result: Result; bytes: Uint8Array }[] = [];
  private begun: BegunSnapshot | undefined;

  constructor(
    subject: Subject<Command, Result, Snapshot, Machine>,
    machine: StateMachine<Command, Result, Snapshot> = subject.make(),
  ) {
    this.subject = subject;
    this.machine = machine;
    this.context = new LogContext(this.timers, subject, new Rules(this.machine));
  }

  /** What is due at a time of the log, before the entry at `position`: each is to be applied before the next is taken. */
  due(position: number, time: number): Iterable<Step> {
    return this.timers.due(position, time);
  }

  /** Throws `MACHINE_DEFECT` where the machine throws, and where pieces of the state of before are not what they were. */
  apply(step: Step): StepOutcome {
    const { subject, machine, context } = this;
    const { position, timer, command } = step;
    return guarded(position, 'apply the command', () => {
      if (timer !== undefined) this.timers.cancel(timer);
      context.begin(step);
      const result = machine.apply(subject.command.decode(command), context);
      context.end();
      if (isPromise(result)) throw new TypeError('it answered with a promise');
      const bytes = subject.result.encode(result);
      this.given.push({ position, result, bytes });
      this.readBegun('the next command was applied');
      return { result: bytes, state: this.look(position) };
    });
  }

  async restore(state: RehearsedState, position: number): Promise<void> {
    const { subject, machine } = this;
    const { bytes } = state;
    this.restoreTimers(state);
    try {
      if (isInPieces(bytes)) await this.restorePieces(bytes, position);
      else if (isPromise(machine.restore(subject.state.whole(bytes) as Snapshot)))
        throw new TypeError('a state that is handed over whole is restored at once');
      this.readBegun('another state was restored');
    } catch (cause) {
      throw cannot(position, 'restore the snapshot', cause);
    }
  }

  /** Throws where pieces that cannot be read to their end change the state, as those of a damaged snapshot would. */
  async restoreInPart({ bytes }: RehearsedState, position: number): Promise<void> {
    if (!isInPieces(bytes)) return;
    const { subject, machine } = this;
    const before = this.look(position);
    const pieces = [...subject.state.pieces(bytes)];
    async function* cutOff(): AsyncGenerator<unknown> {
      yield* pieces.slice(0, pieces.length >> 1);
      throw new Error('these pieces cannot be read to their end');
    }
    const resolved = await handOver(machine, cutOff()).then(
      () => true,
      () => false,
    );
    if (resolved) throw notAllRead(position);
    const seen = { at: 'before', bytes: before };
    const after = { at: 'after it', bytes: this.look(position) };
    const found = differenceOf('state', subject.state, seen, after);
    if (found === undefined) return;
    throw defect('snapshot', position, {
      what: `a \`restore\` that could not read all pieces of the snapshot of position ${position} changed the machine: ${found}`,
      because: 'where a snapshot is damaged, the replica goes on with the state that it has',
      next: 'read all pieces into new values, and put these in the place of the old ones at the end',
    });
  }

  /** A fork of the machine, with what is scheduled. Throws where it cannot be forked. */
  fork(position: number): Rehearsal<Command, Result, Snapshot, Machine> {
    const { subject, machine, timers } = this;
    const copy = guarded(position, 'make a fork', () => machine.fork!());
    const fork = new Rehearsal(subject, copy);
    fork.restoreTimers({ timers: [...timers.encode()], timersMade: timers.made });
    return fork;
  }

  state(position: number): RehearsedState {
    const { timers } = this;
    const bytes = guarded(position, 'make a snapshot', () => this.look(position));
    return { bytes, timers: [...timers.encode()], timersMade: timers.made };
  }

  /** Throws where a result is not any more what it was. */
  checkResults(): void {
    const { subject } = this;
    for (const { position, result, bytes } of this.given) {
      const before = { at: 'when it was given', bytes };
      const now = { at: 'later', bytes: subject.result.encode(result) };
      const found = differenceOf('result', subject.result, before, now);
      if (found === undefined) continue;
      throw defect('sharedResult', position, {
        what: `the result of the command at position ${position} changed after it was given: ${found}`,
        because: 'the machine gives out a part of its own state, and goes on changing it',
        next: 'return a copy',
      });
    }
  }

  private restoreTimers({ timers, timersMade }: Omit<RehearsedState, 'bytes'>): void {
    const restored = this.timers.fresh();
    for (const timer of timers) restored.restore(timer);
    this.timers.replace(restored, timersMade);
  }

  /** The state as it is. In pieces, it is asked for once more, to be read when the machine has gone on. */
  private look(position: number): Uint8Array {
    const { subject, machine } = this;
    const bytes = subject.state.encode(machine.snapshot());
    if (isInPieces(bytes))
      this.begun = { position, bytes, rest: subject.state.begin(machine.snapshot()) };
    return bytes;
  }

  private readBegun(when: string): void {
    const { subject, begun } = this;
    if (begun === undefined) return;
    const { position, bytes, rest } = begun;
    this.begun = undefined;
    const now = { at: `when ${when}`, bytes: rest() };
    const found = differenceOf('state', subject.state, { at: 'at first', bytes }, now);
    if (found === undefined) return;
    throw defect('snapshot', position, {
      what: `pieces of the snapshot of position ${position}, read later, are of another state: ${found}`,
      because: 'a replica reads pieces while it applies what follows',
      next: 'give pieces of what does not change, such as `snapshot()` of a VersionedMap, and copy the rest before the first `yield`',
    });
  }

  private async restorePieces(bytes: Uint8Array, position: number): Promise<void> {
    let isRead = false;
    const pieces = this.subject.state.pieces(bytes);
    async function* all(): AsyncGenerator<unknown> {
      yield* pieces;
      isRead = true;
    }
    await handOver(this.machine, all());
    if (!isRead) throw notAllRead(position);
  }
}

/** As a replica does it. */
async function handOver<Snapshot>(
  machine: Pick<StateMachine<never, unknown, Snapshot>, 'restore'>,
  pieces: AsyncIterable<unknown>,
): Promise<void> {
  await machine.restore(new Pieces(pieces) as Snapshot);
}

function notAllRead(position: number): Error {
  return defect('snapshot', position, {
    what: `\`restore\` was done before it had read all pieces of the snapshot of position ${position}`,
    next: 'have it read all of them with `for await`, and let what that throws pass',
  });
}

function guarded<T>(position: number, task: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cannot(position, task, cause);
  }
}

function cannot(position: number, task: string, cause: unknown): VarlogError {
  if (VarlogError.is(cause, 'MACHINE_DEFECT')) return cause;
  return defect('threw', position, {
    what: `the machine could not ${task} at position ${position}: ${reasonOf(cause)}`,
    next: 'make a refused command a result: an exception stops every replica',
    cause,
  });
}
