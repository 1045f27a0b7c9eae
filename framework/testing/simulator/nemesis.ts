import type { SeededRandom } from './random.ts';
import type { World } from './world.ts';

/** Something bad at a time: data, so that a list of them can be printed, cut short and replayed. */
export type Fault = { readonly atMs: number; readonly forMs: number } & (
  | { readonly kind: 'crash'; readonly node: string; readonly powerLoss: boolean }
  | { readonly kind: 'pause'; readonly node: string }
  | {
      readonly kind: 'partition';
      readonly groups: readonly (readonly string[])[];
      readonly oneWay: boolean;
    }
  | { readonly kind: 'slowDisk'; readonly node: string; readonly latencyMs: number }
  | { readonly kind: 'jumpWallClock'; readonly node: string; readonly byMs: number }
);

/** How often what happens, and for how long at most. A rate of 0 is never. */
export interface FaultRates {
  crashesPerMinute: number;
  /** Share of the crashes that are power losses, 0 to 1. */
  powerLossShare: number;
  pausesPerMinute: number;
  partitionsPerMinute: number;
  slowDisksPerMinute: number;
  wallJumpsPerMinute: number;
  faultMsMax: number;
}

/** Rates for one run: about half of the kinds of faults do not occur at all in it. */
export function sampleRates(random: SeededRandom): FaultRates {
  const rate = (max: number): number => (random.chance(0.5) ? 0 : random.fraction() * max);
  return {
    crashesPerMinute: rate(6),
    powerLossShare: random.pick([0, 0.5, 1]),
    pausesPerMinute: rate(4),
    partitionsPerMinute: rate(6),
    slowDisksPerMinute: rate(4),
    wallJumpsPerMinute: rate(4),
    faultMsMax: random.pick([500, 5_000, 20_000]),
  };
}

/**
 * Draws the faults of a run, sorted by time; all are over at `durationMs`. The same random numbers
 * give the same faults.
 */
export function planFaults(
  random: SeededRandom,
  nodes: readonly string[],
  durationMs: number,
  rates: FaultRates,
): Fault[] {
  const faults: Fault[] = [];
  const plan = (
    label: string,
    perMinute: number,
    make: (random: SeededRandom, time: { atMs: number; forMs: number }) => Fault,
  ): void => {
    // Each kind draws from a stream of its own: leaving one out does not change the others.
    const own = random.stream(label);
    if (perMinute <= 0) return;
    let atMs = own.exponential(60_000 / perMinute);
    while (atMs < durationMs) {
      const forMs = Math.min(own.fraction() * rates.faultMsMax, durationMs - atMs);
      faults.push(make(own, { atMs, forMs }));
      atMs += own.exponential(60_000 / perMinute);
    }
  };
  plan('crash', rates.crashesPerMinute, (own, time) => ({
    ...time,
    kind: 'crash',
    node: own.pick(nodes),
    powerLoss: own.chance(rates.powerLossShare),
  }));
  plan('pause', rates.pausesPerMinute, (own, time) => ({
    ...time,
    kind: 'pause',
    node: own.pick(nodes),
  }));
  plan('partition', rates.partitionsPerMinute, (own, time) => ({
    ...time,
    kind: 'partition',
    groups: split(own, nodes),
    oneWay: own.chance(0.3),
  }));
  plan('slowDisk', rates.slowDisksPerMinute, (own, time) => ({
    ...time,
    kind: 'slowDisk',
    node: own.pick(nodes),
    latencyMs: own.exponential(100),
  }));
  plan('jumpWallClock', rates.wallJumpsPerMinute, (own, time) => ({
    ...time,
    kind: 'jumpWallClock',
    node: own.pick(nodes),
    byMs: own.below(120_000) - 60_000,
  }));
  return faults.sort((a, b) => a.atMs - b.atMs);
}

/** Schedules faults, counted from now. Each ends on its own; faults may overlap. */
export function inflict(world: World, faults: readonly Fault[]): void {
  for (const fault of faults) world.after(fault.atMs, () => strike(world, fault));
}

/** Ends all that is wrong: what must make progress then, must. */
export function recover(world: World): void {
  world.heal();
  for (const node of world.nodes) {
    world.disk(node).faults = {};
    world.resume(node);
    world.restart(node);
  }
}

function strike(world: World, fault: Fault): void {
  const afterwards = (undo: () => void): void => void world.after(fault.forMs, undo);
  switch (fault.kind) {
    case 'crash':
      world.crash(fault.node, { powerLoss: fault.powerLoss });
      afterwards(() => world.restart(fault.node));
      return;
    case 'pause':
      world.pause(fault.node);
      afterwards(() => world.resume(fault.node));
      return;
    case 'partition':
      afterwards(world.partition(fault.groups, { oneWay: fault.oneWay }));
      return;
    case 'slowDisk': {
      const disk = world.disk(fault.node);
      const before = disk.faults;
      disk.faults = {
        ...before,
        latencyMs: (_, random) => random.fraction() * 2 * fault.latencyMs,
      };
      afterwards(() => {
        disk.faults = before;
      });
      return;
    }
    case 'jumpWallClock':
      world.jumpWallClock(fault.node, fault.byMs);
      afterwards(() => world.jumpWallClock(fault.node, -fault.byMs));
  }
}

/** One alone, two halves, or two sides with a bridge between them that both reach. */
function split(random: SeededRandom, nodes: readonly string[]): string[][] {
  const order = [...nodes];
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  const half = order.length >> 1;
  switch (random.below(3)) {
    case 0:
      return [order.slice(0, 1), order.slice(1)];
    case 1:
      return [order.slice(0, half), order.slice(half)];
    default:
      return [order.slice(0, half), order.slice(half + 1)];
  }
}
