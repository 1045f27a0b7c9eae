import {
  checkFunctions,
  checkNames,
  type OptionNames,
  shown,
  VarlogError,
} from '../../base/index.ts';
import type { ReplicaCodecs, StateMachine } from '../../smr/index.ts';
import type { DefectKind } from './defect.ts';
import { runMachine } from './machine-run.ts';
import { type MachineSource, subjectOf } from './machine-source.ts';
import { MACHINE_FAULTS, type Plan } from './plan.ts';
import {
  runSimulation,
  SIMULATION_NAMES,
  type SimulationOptions,
  type SimulationReport,
} from './simulation.ts';

const SPECULATE = 0.5;

export interface SimulateOptions<Command, Result, Snapshot, Machine>
  extends SimulationOptions<Command> {
  /**
   * Is called with the machine of each replica after each command and each restored snapshot: it returns false or throws
   * where something is not as it must always be.
   */
  invariant?: (machine: Machine) => unknown;
  /**
   * The share of commands, from 0 to 1, that are handed in by `Replica.speculate`: the tentative answer may be wrong, what
   * is settled must be the truth. For machines with `fork()`. Default: 0.5 with such machines.
   */
  speculate?: number;
  /** As `startReplica` is given it. Default: JSON. */
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
}

const NAMES: OptionNames<SimulateOptions<never, never, never, never>> = {
  ...SIMULATION_NAMES,
  invariant: true,
  speculate: true,
  codec: true,
};

/**
 * Runs replicas of a machine on a log in virtual time, with clients and faults that are drawn from seeds: crashes with
 * and without snapshots, partitions, delays, lost and late acknowledgements, pauses, wrong clocks.
 *
 * ```ts
 * test('counter', async () => {
 *   await simulate(Counter, {
 *     seeds: 1_000,
 *     workload: (random) => ({ add: random.below(10) }),
 *     invariant: ({ value }) => value >= 0,
 *   });
 * });
 * ```
 *
 * It checks that the machine is deterministic (all replicas come to the same result and snapshot at each position, as
 * does a machine that never stopped; nothing reads the clock or chance of the process), that a snapshot is the whole
 * state, that a fork and its machine see nothing of each other, that results are not changed later, that the invariant
 * holds, and that all that clients were told is linearizable, with the machine as the specification.
 *
 * Rejects with `MACHINE_DEFECT` at the first seed that fails. The run was cut down then to the fewest faults and commands
 * that still fail, and the message tells what happens in it, and how to run the seed again. In `details`: `seed`,
 * `kind` (a {@link DefectKind}), `position`, `commands`, `faults`, `story`.
 */
export async function simulate<Command, Result, Snapshot, Machine>(
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  options: SimulateOptions<Command, Result, Snapshot, Machine>,
): Promise<SimulationReport> {
  checkNames(options, NAMES, 'simulate');
  const { invariant } = options;
  const subject = subjectOf(source, options.codec);
  const { name, command, hasFork, losses } = subject;
  const { speculate = hasFork ? SPECULATE : 0 } = options;
  checkFunctions({ ...(invariant && { invariant }) });
  checkShare(speculate, name, hasFork);
  const simulation = {
    name,
    command,
    speculate,
    faults: MACHINE_FAULTS,
    hint: () => losses.hint,
    run: (plan: Plan, told: boolean) => runMachine(subject, plan, { invariant, told }),
  };
  return runSimulation(simulation, options);
}

/** Throws `INVALID_ARGUMENT`. */
function checkShare(speculate: number, name: string, hasFork: boolean): void {
  if (typeof speculate !== 'number' || !(speculate >= 0 && speculate <= 1))
    throw noShare(speculate);
  if (speculate > 0 && !hasFork) throw cannotSpeculate(name);
}

function noShare(speculate: unknown): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `speculate is ${shown(speculate)}`,
    next: 'give the share of commands that are speculated on, from 0 to 1',
  });
}

function cannotSpeculate(name: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `speculate was given, and ${name} has no \`fork()\``,
    because: 'tentative answers come from a fork of the machine',
    next: 'give the machine a `fork()`, or leave `speculate` out',
  });
}
