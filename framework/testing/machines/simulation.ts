import {
  type Codec,
  checkCount,
  checkFunctions,
  type OptionNames,
  shown,
  VarlogError,
} from '../../base/index.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import type { SeededRandom } from '../simulator/random.ts';
import { Trace } from '../simulator/trace.ts';
import { defect } from './defect.ts';
import { type MachineFaultKind, type Plan, planOf } from './plan.ts';
import type { RunOutcome } from './replica-run.ts';
import { shrink } from './shrink.ts';

const SEEDS = 100;
const COMMANDS = 20;
const REPLICAS = 3;
/** One of so many seeds is run twice, to see that both runs do the same. */
const TWICE_EVERY = 50;
/** For a run of the usual size, a thousand smaller ones. */
const SHRINK_PARTS_MAX = 25_000;

/** What can be said of every simulation of a machine. */
export interface SimulationOptions<Command> {
  /** Draws a command. It must not draw from anywhere else. */
  workload: (random: SeededRandom) => Command;
  /** How many seeds to run: as many different runs. Default 100. */
  seeds?: number;
  /** The first of them. Default 1. */
  firstSeed?: number;
  /** What may go wrong. Default: everything; `[]`: nothing. */
  faults?: readonly MachineFaultKind[];
  /** How many commands a run has. Default 20. */
  commands?: number;
  /** How many replicas run the machine. Default 3. */
  replicas?: number;
}

export const SIMULATION_NAMES: OptionNames<SimulationOptions<never>> = {
  workload: true,
  seeds: true,
  firstSeed: true,
  faults: true,
  commands: true,
  replicas: true,
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

/** What is simulated. */
export interface Simulation<Command> {
  /** For people. */
  readonly name: string;
  readonly command: Codec<Command>;
  /** The share of commands that are speculated on. */
  readonly speculate: number;
  /** What can go wrong. */
  readonly faults: readonly MachineFaultKind[];
  /** What a failure may come from, as far as that is known. */
  readonly hint: () => string | undefined;
  readonly run: (plan: Plan, told: boolean) => Promise<RunOutcome>;
}

/** Runs all seeds. Rejects with `MACHINE_DEFECT` for the first one that fails, cut down; with `INVALID_ARGUMENT` for the options. */
export async function runSimulation<Command>(
  simulation: Simulation<Command>,
  options: SimulationOptions<Command>,
): Promise<SimulationReport> {
  const { seeds = SEEDS, firstSeed = 1 } = options;
  const planned = checkedPlanner(simulation, options);
  const trace = new Trace(1);
  let [commands, faults] = [0, 0];
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const plan = planned(seed);
    const outcome = await simulation.run(plan, false);
    if (outcome.failure !== undefined) throw await shrunk(simulation, plan, outcome.failure);
    if ((seed - firstSeed) % TWICE_EVERY === 0) {
      const { traceHash } = await simulation.run(planned(seed), false);
      if (traceHash !== outcome.traceHash) throw notTwice(simulation.name, seed);
    }
    trace.note(seed, outcome.traceHash);
    commands += numbersOf(plan).length;
    faults += plan.faults.length;
  }
  return { seeds, commands, faults, traceHash: trace.hash() };
}

function notTwice(name: string, seed: number): VarlogError {
  return defect('nondeterministic', 0, {
    what: `${name} did not do the same twice with seed ${seed}`,
    because:
      'machines have something in common that outlives them, or `workload` draws from elsewhere',
    next: 'keep all state in the machine, and draw from the `random` that `workload` is given',
  });
}

/** The error to throw, for the smallest run that fails in the same way. */
async function shrunk(
  { name, run, hint }: Pick<Simulation<never>, 'name' | 'run' | 'hint'>,
  plan: Plan,
  found: VarlogError,
): Promise<VarlogError> {
  const kindOf = (it: VarlogError | undefined): unknown => it?.details['kind'];
  const fails = async (smaller: Plan): Promise<boolean> => {
    const { failure } = await run(smaller, false);
    return kindOf(failure) === kindOf(found);
  };
  const smallest = await shrink(plan, fails, SHRINK_PARTS_MAX);
  const { failure = found, story } = await run(smallest, true);
  const commands = numbersOf(smallest);
  const { length: faults } = smallest.faults;
  const { seed } = plan;
  const size = `${commands.length} of ${numbersOf(plan).length} commands and ${faults} of ${plan.faults.length} faults`;
  const hinted = hint();
  const message = [
    `${name} fails with seed ${seed}: ${failure.message.replace(/^MACHINE_DEFECT: /, '')}`,
    `It takes ${size}:`,
    story.join('\n'),
    ...(hinted === undefined ? [] : [`${hinted}.`]),
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
function checkedPlanner<Command>(
  {
    command: codec,
    speculate,
    faults: possible,
  }: Pick<Simulation<Command>, 'command' | 'speculate' | 'faults'>,
  options: SimulationOptions<Command>,
): (seed: number) => Plan {
  const { workload, commands = COMMANDS, replicas = REPLICAS, faults = possible } = options;
  checkFunctions({ workload });
  for (const name of ['seeds', 'commands', 'replicas'] as const) checkCount(options[name], name);
  checkCount(options.firstSeed, 'firstSeed', 0);
  if (!Array.isArray(faults)) throw noFaults(`faults is ${shown(faults)}`, possible);
  const unknown = faults.find((it) => !possible.includes(it));
  if (unknown !== undefined) throw noFaults(`there is no fault "${unknown}"`, possible);
  const draw = (random: SeededRandom): Command => drawn(workload(random));
  return (seed) => planOf(seed, { workload: draw, commands, replicas, speculate, faults, codec });
}

function noFaults(what: string, possible: readonly MachineFaultKind[]): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what,
    next: `give a list, of ${possible.join(', ')}; \`[]\` is nothing`,
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
