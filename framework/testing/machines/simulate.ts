import { VarlogError } from '../../base/index.ts';
import type { ReplicaCodecs, StateMachine } from '../../smr/index.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import {
  checkCount,
  checkFunctions,
  checkNames,
  type OptionNames,
  shown,
} from '../../smr/option-checks.ts';
import type { SeededRandom } from '../simulator/random.ts';
import { Trace } from '../simulator/trace.ts';
import { type DefectKind, defect } from './defect.ts';
import { type RunOutcome, runMachine } from './machine-run.ts';
import { type MachineSource, type Subject, subjectOf } from './machine-source.ts';
import { MACHINE_FAULTS, type MachineFaultKind, type Plan, planOf } from './plan.ts';
import { shrink } from './shrink.ts';

const SEEDS = 100;
const COMMANDS = 20;
const REPLICAS = 3;
const SPECULATE = 0.5;
/** One of so many seeds is run twice, to see that both runs do the same. */
const TWICE_EVERY = 50;
/** For a run of the usual size, a thousand smaller ones. */
const SHRINK_PARTS_MAX = 25_000;

export interface SimulateOptions<Command, Result, Snapshot, Machine> {
  /** Draws a command. It must not draw from anywhere else. */
  workload: (random: SeededRandom) => Command;
  /** How many seeds to run: as many different runs. Default 100. */
  seeds?: number;
  /** The first of them. Default 1. */
  firstSeed?: number;
  /** What may go wrong. Default: everything; `[]`: nothing. */
  faults?: readonly MachineFaultKind[];
  /**
   * Is called with the machine of each replica after each command and each restored snapshot: it returns false or throws
   * where something is not as it must always be.
   */
  invariant?: (machine: Machine) => unknown;
  /** How many commands a run has. Default 20. */
  commands?: number;
  /** How many replicas run the machine. Default 3. */
  replicas?: number;
  /**
   * The share of commands, from 0 to 1, that are handed in by `Replica.speculate`: the tentative answer may be wrong, what
   * is settled must be the truth. For machines with `fork()`. Default: 0.5 with such machines.
   */
  speculate?: number;
  /** As `startReplica` is given it. Default: JSON. */
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
}

const NAMES: OptionNames<SimulateOptions<never, never, never, never>> = {
  workload: true,
  seeds: true,
  firstSeed: true,
  faults: true,
  invariant: true,
  commands: true,
  replicas: true,
  speculate: true,
  codec: true,
};

/** What was run, where nothing was found. */
export interface SimulationReport {
  readonly seeds: number;
  /** How many commands were given to replicas, and how much went wrong meanwhile. */
  readonly commands: number;
  readonly faults: number;
  /** Of all runs: the same seeds with the same machine give the same. */
  readonly traceHash: string;
}

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
 * state, that a fork and its machine see nothing of each other, that results are not changed later, that the invariant holds, and that all that clients were told is
 * linearizable, with the machine as the specification.
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
  const { seeds = SEEDS, firstSeed = 1, invariant } = options;
  const subject = subjectOf(source, options.codec);
  const simulation = { subject, invariant, plan: checkedPlanner(subject, options) };
  const trace = new Trace(1);
  let [commands, faults] = [0, 0];
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const { plan, outcome } = await runSeed(simulation, seed);
    if (outcome.failure !== undefined) throw await shrunk(simulation, plan, outcome.failure);
    if ((seed - firstSeed) % TWICE_EVERY === 0) await runAgain(simulation, seed, outcome);
    trace.note(seed, outcome.traceHash);
    commands += plan.calls.filter((it) => it.kind === 'command').length;
    faults += plan.faults.length;
  }
  return { seeds, commands, faults, traceHash: trace.hash() };
}

interface Simulation<Command, Result, Snapshot, Machine> {
  readonly subject: Subject<Command, Result, Snapshot, Machine>;
  readonly invariant: ((machine: Machine) => unknown) | undefined;
  readonly plan: (seed: number) => Plan;
}

async function runSeed<Command, Result, Snapshot, Machine>(
  { subject, invariant, plan: draw }: Simulation<Command, Result, Snapshot, Machine>,
  seed: number,
): Promise<{ plan: Plan; outcome: RunOutcome }> {
  const plan = draw(seed);
  return { plan, outcome: await runMachine(subject, plan, { invariant }) };
}

async function runAgain<Command, Result, Snapshot, Machine>(
  simulation: Simulation<Command, Result, Snapshot, Machine>,
  seed: number,
  first: RunOutcome,
): Promise<void> {
  const { outcome } = await runSeed(simulation, seed);
  if (outcome.traceHash === first.traceHash) return;
  throw defect('nondeterministic', 0, {
    what: `${simulation.subject.name} did not do the same twice with seed ${seed}`,
    because:
      'machines have something in common that outlives them, or `workload` draws from elsewhere',
    next: 'keep all state in the machine, and draw from the `random` that `workload` is given',
  });
}

/** The error to throw, for the smallest run that fails in the same way. */
async function shrunk<Command, Result, Snapshot, Machine>(
  { subject, invariant }: Simulation<Command, Result, Snapshot, Machine>,
  plan: Plan,
  found: VarlogError,
): Promise<VarlogError> {
  const kindOf = (it: VarlogError | undefined): unknown => it?.details['kind'];
  const fails = async (smaller: Plan): Promise<boolean> => {
    const { failure } = await runMachine(subject, smaller, { invariant });
    return kindOf(failure) === kindOf(found);
  };
  const smallest = await shrink(plan, fails, SHRINK_PARTS_MAX);
  const { failure = found, story } = await runMachine(subject, smallest, { invariant, told: true });
  const commands = numbersOf(smallest);
  const { length: faults } = smallest.faults;
  const { seed } = plan;
  const size = `${commands.length} of ${numbersOf(plan).length} commands and ${faults} of ${plan.faults.length} faults`;
  const message = [
    `${subject.name} fails with seed ${seed}: ${failure.message.replace(/^MACHINE_DEFECT: /, '')}`,
    `It takes ${size}:`,
    story.join('\n'),
    ...(subject.losses.hint === undefined ? [] : [`${subject.losses.hint}.`]),
    `To run it again: { firstSeed: ${seed}, seeds: 1 }`,
  ];
  return new VarlogError('MACHINE_DEFECT', {
    what: message.join('\n\n'),
    details: { ...failure.details, seed, commands, faults: smallest.faults, story },
    cause: failure.cause ?? failure,
  });
}

function numbersOf({ calls }: Plan): number[] {
  return calls.flatMap((it) => (it.kind === 'command' ? [it.number] : []));
}

/** Throws `INVALID_ARGUMENT`. */
function checkedPlanner<Command, Result, Snapshot, Machine>(
  { name, command: codec, hasFork }: Subject<Command, Result, Snapshot, Machine>,
  options: SimulateOptions<Command, Result, Snapshot, Machine>,
): (seed: number) => Plan {
  const { workload, commands = COMMANDS, replicas = REPLICAS, faults = MACHINE_FAULTS } = options;
  checkFunctions({ workload, ...(options.invariant && { invariant: options.invariant }) });
  for (const name of ['seeds', 'commands', 'replicas'] as const) checkCount(options[name], name);
  checkCount(options.firstSeed, 'firstSeed', 0);
  const { speculate = hasFork ? SPECULATE : 0 } = options;
  if (typeof speculate !== 'number' || !(speculate >= 0 && speculate <= 1))
    throw noShare(speculate);
  if (speculate > 0 && !hasFork) throw cannotSpeculate(name);
  if (!Array.isArray(faults)) throw noFaults(`faults is ${shown(faults)}`);
  const unknown = faults.find((it) => !MACHINE_FAULTS.includes(it));
  if (unknown !== undefined) throw noFaults(`there is no fault "${unknown}"`);
  const draw = (random: SeededRandom): Command => drawn(workload(random));
  return (seed) => planOf(seed, { workload: draw, commands, replicas, speculate, faults, codec });
}

function noFaults(what: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what,
    next: `give a list, of ${MACHINE_FAULTS.join(', ')}; \`[]\` is nothing`,
  });
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

/** Throws `INVALID_ARGUMENT` where it is no command. */
function drawn<Command>(command: Command): Command {
  if (command !== undefined && !isPromise(command)) return command;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `\`workload\` returned ${command === undefined ? 'nothing' : 'a promise'}`,
    next: 'have it return a command: workload: (random) => ({ add: random.below(10) })',
  });
}
