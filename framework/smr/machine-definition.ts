import type { AdmissionLimits } from './admission.ts';
import type { ReplicaCodecs } from './codecs.ts';
import type { StateMachine } from './state-machine.ts';

/**
 * A machine with all that decides how it applies a log, as its replicas have it. A module that exports one as `machine` can
 * be given to `varlog replay` and `varlog why`:
 *
 * ```ts
 * export const machine: MachineDefinition = { make: () => new Counter(), name: 'counter', codec };
 * ```
 */
export interface MachineDefinition<Command = unknown, Result = unknown, Snapshot = unknown>
  extends AdmissionLimits {
  /** A new instance, with the state that replicas begin with. */
  make(): StateMachine<Command, Result, Snapshot>;
  /** Default: `machine`. */
  name?: string;
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
}
