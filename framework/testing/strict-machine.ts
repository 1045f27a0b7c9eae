import { VarlogError } from '../base/index.ts';
import { canonicalHash } from '../smr/canonical.ts';
import { type Difference, firstDifference } from '../smr/first-difference.ts';
import { type ApplyContext, Pieces, type StateMachine } from '../smr/index.ts';
import { makerOf, twoMachines } from './machines/machine-source.ts';
import { withoutHost } from './simulator/host-ban.ts';

/**
 * A machine that finds out while it is tested whether it is deterministic: for any log, replica or simulation. Each command
 * is applied in two instances, which must give the same result, come to the same state, and ask the same of their context;
 * the command is frozen; and this machine's clocks, timers and randomness throw, with the name of the call. What it finds
 * is thrown from `apply`, so that a replica stops with `APPLY_FAILED` and that as its cause.
 *
 * ```ts
 * await using counter = await startReplica({ machine: strictMachine(() => new Counter()), log: new MemoryLog() });
 * ```
 *
 * For tests only: each command costs two snapshots. Modules that were imported, such as `node:crypto`, are out of its
 * reach, and found only where the two instances differ by them.
 *
 * @param make makes a new instance. The first one is what is returned: it can be looked at as usual.
 */
export function strictMachine<Machine extends StateMachine<never, unknown, unknown>>(
  make: () => Machine,
): Machine {
  const [machine, second] = twoMachines(makerOf(make), '`make`');
  const twin = second as StateMachine<unknown, unknown, unknown>;
  const own = machine as StateMachine<unknown, unknown, unknown>;
  const apply = own.apply.bind(own);
  const restore = own.restore.bind(own);
  patch(own, 'apply', (command, context) => {
    const { position } = context;
    const before = canonicalHash(freezeDeep(command));
    const questions = new Questions(context);
    const result = withoutHost(() => apply(command, questions.asked()));
    const again = withoutHost(() => twin.apply(command, questions.askedAgain()));
    questions.allAsked();
    if (canonicalHash(command) !== before) throw changed(position);
    mustBeEqual(firstDifference(result, again), 'gave different results for', position);
    const states = firstDifference(machine.snapshot(), twin.snapshot());
    mustBeEqual(states, 'are in different states after', position);
    return result;
  });
  patch(own, 'restore', (snapshot) => {
    // Of its own: what both kept of one value they would both change.
    const follow = (): Promise<void> | void => twin.restore(copyOf(own.snapshot()));
    const restored = restore(snapshot);
    return restored === undefined ? follow() : restored.then(follow);
  });
  return machine;
}

/** Where a machine copies its properties into a fork, these are not among them: they are about this machine. */
function patch<T extends object, K extends keyof T>(of: T, name: K, value: T[K]): void {
  Object.defineProperty(of, name, { value, configurable: true, writable: true });
}

interface Question {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly answer: unknown;
}

/** What an instance calls of its context. The other one is to call the same, and is told the same. */
class Questions {
  private readonly context: ApplyContext;
  private readonly all: Question[] = [];
  private repeated = 0;

  constructor(context: ApplyContext) {
    this.context = context;
  }

  asked(): ApplyContext {
    return this.intercept((name, args, call) => {
      const answer = call();
      this.all.push({ name, args, answer });
      return answer;
    });
  }

  askedAgain(): ApplyContext {
    return this.intercept((name, args) => {
      const first = this.all[this.repeated++];
      if (first?.name !== name) throw this.differs(name, first?.name);
      mustBeEqual(
        firstDifference(first.args, args),
        `called context.${name} differently for`,
        this.context.position,
      );
      return first.answer;
    });
  }

  allAsked(): void {
    const left = this.all[this.repeated];
    if (left !== undefined) throw this.differs(undefined, left.name);
  }

  private intercept(
    on: (name: string, args: readonly unknown[], call: () => unknown) => unknown,
  ): ApplyContext {
    return new Proxy(this.context, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          on(String(name), args, () => Reflect.apply(value, target, args));
      },
    });
  }

  private differs(name: string | undefined, first: string | undefined): VarlogError {
    const said = (it: string | undefined): string =>
      it === undefined ? 'nothing' : `context.${it}`;
    return notDeterministic(
      `called ${said(first)} and ${said(name)} in the same place of`,
      this.context.position,
    );
  }
}

function copyOf(state: unknown): unknown {
  if (!Pieces.is(state)) return structuredClone(state);
  return new Pieces([...state.begin()].map((it) => structuredClone(it)));
}

/** Bytes cannot be frozen. */
function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeDeep(part);
  return value;
}

function mustBeEqual(difference: Difference | undefined, how: string, position: number): void {
  if (difference === undefined) return;
  const { path, left, right } = difference;
  throw notDeterministic(how, position, `: ${path} is ${left}, and ${right}`);
}

function notDeterministic(how: string, position: number, where = ''): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `two instances of the machine ${how} the command at position ${position}${where}`,
    because: 'what it does depends on more than its commands and their context',
    next: 'look for what instances share, for the order of sets that are filled differently, and for randomness',
  });
}

function changed(position: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the machine changed the command at position ${position} while it applied it`,
    next: 'copy what is to be changed',
  });
}
