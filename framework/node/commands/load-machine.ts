import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { reasonOf, VarlogError } from '../../base/index.ts';
import type { MachineDefinition } from '../../smr/index.ts';

/** The state machine that a module of the user exports as `machine`. Throws `CONFIG_INVALID` where there is none. */
export function loadMachine(path: string): MachineDefinition {
  const file = resolve(path);
  let loaded: { machine?: Partial<MachineDefinition> };
  try {
    // It loads both kinds of modules.
    loaded = createRequire(join(process.cwd(), 'cli'))(file) as typeof loaded;
  } catch (cause) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `the module ${file} cannot be loaded`,
      because: reasonOf(cause),
      next: 'give a JavaScript module that runs by itself: `node <file>`; it must not await at its top level',
      cause,
    });
  }
  const { machine } = loaded;
  if (typeof machine?.make === 'function') return machine as MachineDefinition;
  throw new VarlogError('CONFIG_INVALID', {
    what: `the module ${file} exports no state machine`,
    next: 'export it as `machine`: `export const machine = { make: () => new MyMachine(), name, codec }`, as its replicas have it',
  });
}
