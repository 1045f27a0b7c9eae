import { shown, VarlogError } from '../base/index.ts';
import { canonicalHash } from './canonical.ts';
import { checkDefinition } from './machine-checks.ts';
import type { MachineDefinition } from './machine-definition.ts';
import { entriesOf, ReplayedMachine, type ReplayRange } from './replayed-machine.ts';

/** A command that changed what is under a key, or a snapshot that did. */
export interface Cause {
  readonly position: number;
  /** How many commands were applied at this position before: those of timers that were due. */
  readonly index: number;
  /** The log's, in milliseconds since 1970; 0 where no command took effect there. */
  readonly time: number;
  readonly command?: unknown;
  readonly result?: unknown;
  /** What is under the key since: a copy. */
  readonly value: unknown;
}

/** The commands that made the value under a key, in the order of the log. */
export async function* causesOf(
  definition: MachineDefinition,
  key: string,
  range: ReplayRange,
  to: number,
): AsyncGenerator<Cause> {
  checkDefinition(definition, '`machine`');
  if (typeof key !== 'string') throw noKey(key);
  const replayed = await ReplayedMachine.open(definition, range, to);
  try {
    const { machine } = replayed;
    if (machine.inspect === undefined) throw cannotInspect(key);
    let before = canonicalHash(machine.inspect(key));
    let causes: Cause[] = [];
    const look = (cause: Omit<Cause, 'value'>): void => {
      const value = machine.inspect?.(key);
      const after = canonicalHash(value);
      if (after === before) return;
      before = after;
      causes.push({ ...cause, value: structuredClone(value) });
    };
    for await (const next of entriesOf(range.log, replayed.position, to, range.signal)) {
      await replayed.take(next, look);
      if (replayed.failure !== undefined) throw replayed.failure;
      look({
        position: next.kind === 'snapshot' ? next.position : next.through,
        index: 0,
        time: 0,
      });
      yield* causes;
      causes = [];
    }
    replayed.checkName();
  } finally {
    await replayed.close();
  }
}

function noKey(key: unknown): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `the key is ${shown(key)}`,
    next: 'give the text that `inspect` of the machine takes',
  });
}

function cannotInspect(key: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `the machine does not say what is under the key "${key}"`,
    next: 'give it a method `inspect(key)` that returns the value: equal as long as nothing that matters has changed',
  });
}
