import { VarlogError } from '../base/index.ts';
import { canonicalHash } from './canonical.ts';
import type { MachineDefinition } from './machine-definition.ts';
import { entriesOf, ReplayedMachine, type ReplayRange } from './replayed-machine.ts';

/** An entry that changed what is under a key. */
export interface Cause {
  readonly position: number;
  /** The log's, in milliseconds since 1970; 0 where no command took effect there. */
  readonly time: number;
  readonly command?: unknown;
  readonly result?: unknown;
  /** What is under the key since. Valid until the next one is asked for. */
  readonly value: unknown;
}

/** The entries that made the value under a key, in the order of the log. */
export async function* causesOf(
  definition: MachineDefinition,
  key: string,
  range: ReplayRange,
  to: number,
): AsyncGenerator<Cause> {
  const replayed = await ReplayedMachine.open(definition, range);
  try {
    const { machine } = replayed;
    if (machine.inspect === undefined) throw cannotInspect(key);
    let before = canonicalHash(machine.inspect(key));
    for await (const next of entriesOf(range.log, replayed.position, to, range.signal)) {
      const [applied] = (await replayed.take(next)).slice(-1);
      if (replayed.failure !== undefined) throw replayed.failure;
      const value = machine.inspect(key);
      const after = canonicalHash(value);
      if (after === before) continue;
      before = after;
      const position = next.kind === 'snapshot' ? next.position : next.through;
      if (applied === undefined) yield { position, time: 0, value };
      else yield { ...applied, position, value };
    }
  } finally {
    await replayed.close();
  }
}

function cannotInspect(key: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `the machine does not say what is under the key "${key}"`,
    next: 'give it a method `inspect(key)` that returns the value: equal as long as nothing that matters has changed',
  });
}
