import type { Codec } from '../../base/index.ts';
import { APPEND_FAULTS, type AppendFault } from '../append-fault.ts';
import { SeededRandom } from '../simulator/random.ts';

/**
 * What can go wrong in a simulation of a machine.
 *
 * - `crash`: a replica's process ends, or its machine loses power or its disk; it starts again later.
 * - `pause`: a replica does nothing for a while, as in a long garbage collection.
 * - `partition`: a replica does not reach the log.
 * - `delay`: everything between a replica and the log takes long.
 * - `append`: an append of a replica is refused, or its acknowledgement is lost, or it comes late, after others, or never.
 * - `clock`: a replica's wall clock jumps.
 * - `transaction`: of a machine in SQL; one that has applied a command is not committed, and tried again.
 */
export type MachineFault = { readonly atMs: number; readonly replica: string } & (
  | {
      readonly kind: 'crash';
      readonly forMs: number;
      readonly loses: 'nothing' | 'unsynced' | 'disk';
    }
  | { readonly kind: 'pause'; readonly forMs: number }
  | { readonly kind: 'partition'; readonly forMs: number }
  | { readonly kind: 'delay'; readonly forMs: number; readonly latencyMs: number }
  | { readonly kind: 'append'; readonly suffers: AppendFault }
  | { readonly kind: 'clock'; readonly byMs: number }
  | { readonly kind: 'transaction' }
);

export type MachineFaultKind = MachineFault['kind'];

/** Of machines in memory. */
export const MACHINE_FAULTS: readonly MachineFaultKind[] = [
  'crash',
  'pause',
  'partition',
  'delay',
  'append',
  'clock',
];

/** Something that a client asks a replica; the next one where that is down. */
export type PlannedCall = { readonly atMs: number; readonly replica: string } & (
  | {
      readonly kind: 'command';
      readonly number: number;
      readonly command: Uint8Array;
      /** Whether the client repeats it elsewhere when its replica is gone. */
      readonly repeated: boolean;
      /** Whether the client wants a tentative answer first. */
      readonly speculated: boolean;
    }
  | { readonly kind: 'query' }
);

/** One run, as data: it can be printed, cut short and run again. */
export interface Plan {
  readonly seed: number;
  readonly replicas: readonly string[];
  /** Of a message between a replica and the log, on the average. */
  readonly latencyMs: number;
  /** Entries between snapshots. */
  readonly snapshotEvery: number;
  /** Who keeps them. A log that does forgets what is before. */
  readonly snapshotsIn: 'log' | 'disk';
  readonly calls: readonly PlannedCall[];
  readonly faults: readonly MachineFault[];
}

export interface PlanOptions<Command> {
  readonly replicas: number;
  readonly commands: number;
  /** The share of commands that are speculated on. */
  readonly speculate: number;
  readonly faults: readonly MachineFaultKind[];
  readonly workload: (random: SeededRandom) => Command;
  readonly codec: Codec<Command>;
}

/** Of so many commands one is followed by a query. */
const QUERY_EVERY = 4;

/** Draws a run. Each subject has random numbers of its own, so that one option changes no more than it says. */
export function planOf<Command>(seed: number, options: PlanOptions<Command>): Plan {
  const random = new SeededRandom(`machine ${seed}`);
  const setting = random.stream('setting');
  const replicas = Array.from({ length: options.replicas }, (_, i) => `r${i + 1}`);
  const calls = planCalls(random, replicas, options);
  const endMs = calls.at(-1)?.atMs ?? 0;
  const faults = options.faults.flatMap((kind) =>
    planFaults(random.stream(kind), kind, replicas, endMs),
  );
  return {
    seed,
    replicas,
    latencyMs: setting.pick([0.1, 1, 10]),
    snapshotEvery: setting.pick([2, 7, Number.POSITIVE_INFINITY]),
    snapshotsIn: setting.pick(['log', 'disk']),
    calls,
    faults: faults.sort((a, b) => a.atMs - b.atMs),
  };
}

function planCalls<Command>(
  all: SeededRandom,
  replicas: readonly string[],
  { commands, speculate, workload, codec }: PlanOptions<Command>,
): PlannedCall[] {
  const random = all.stream('calls');
  const forWorkload = all.stream('workload');
  const forSpeculation = all.stream('speculation');
  const calls: PlannedCall[] = [];
  const gapMs = random.pick([1, 10, 50]);
  const repeatedShare = random.pick([0, 0.5]);
  let atMs = 10;
  for (let number = 1; number <= commands; number++) {
    atMs += random.exponential(gapMs);
    const replica = random.pick(replicas);
    const command = codec.encode(workload(forWorkload));
    const repeated = random.chance(repeatedShare);
    const speculated = forSpeculation.chance(speculate);
    calls.push({ kind: 'command', atMs, replica, number, command, repeated, speculated });
    if (random.below(QUERY_EVERY) > 0) continue;
    atMs += random.exponential(gapMs);
    calls.push({ kind: 'query', atMs, replica: random.pick(replicas) });
  }
  return calls;
}

/** In about half of all runs one kind of fault does not occur, so that others are seen alone. */
function planFaults(
  random: SeededRandom,
  kind: MachineFaultKind,
  replicas: readonly string[],
  endMs: number,
): MachineFault[] {
  const count = random.chance(0.5) ? 0 : 1 + random.below(4);
  return Array.from({ length: count }, () => {
    const when = { atMs: random.fraction() * endMs, replica: random.pick(replicas) };
    const forMs = random.exponential(endMs / 4);
    switch (kind) {
      case 'crash':
        return { ...when, kind, forMs, loses: random.pick(['nothing', 'unsynced', 'disk']) };
      case 'delay':
        return { ...when, kind, forMs, latencyMs: random.exponential(endMs / 4) };
      case 'append':
        return { ...when, kind, suffers: random.pick(APPEND_FAULTS) };
      case 'clock':
        return { ...when, kind, byMs: random.below(120_000) - 60_000 };
      case 'transaction':
        return { ...when, kind };
      default:
        return { ...when, kind, forMs };
    }
  });
}
