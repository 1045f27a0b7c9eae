import type { Random } from '../../framework/base/index.ts';
import type { World } from '../../framework/testing/index.ts';

/** What happens to the disks of a world besides power losses, for as long as the clients run. */
export interface DiskClimate {
  /** How long it takes at most to write a snapshot, in ms. */
  readonly snapshotMs: number;
  /** How many faults in ten hang a disk, fill it, or kill a process between a write and its sync. */
  readonly hanging: number;
  readonly full: number;
  readonly torn: number;
}

export function diskClimate(random: Random): DiskClimate {
  return {
    snapshotMs: [0, 500, 4_000][random.below(3)]!,
    hanging: random.below(4),
    full: random.below(4),
    torn: random.below(4),
  };
}

/** Disks that are slow with snapshots, hang, and are full for a while; until `over` says that it is enough. */
export async function withDiskFaults(
  world: World,
  nodes: readonly string[],
  climate: DiskClimate,
  over: () => boolean,
): Promise<void> {
  const random = world.random.stream('disk faults');
  const { clock } = world.ports('disk faults');
  const hangsUntilMs = new Map<string, number>();
  for (const name of nodes) {
    const latencyMs = ({ kind, path }: { kind: string; path: string }, chance: Random): number => {
      const changes = kind === 'write' || kind.startsWith('sync');
      const hangs = changes ? Math.max(0, (hangsUntilMs.get(name) ?? 0) - world.nowMs) : 0;
      const slow = kind === 'write' && path.includes('snapshot') ? climate.snapshotMs : 0;
      const usual = kind.startsWith('sync') ? 2 : 0.1;
      return hangs + (usual + slow) * (0.1 + 0.9 * chance.fraction());
    };
    world.disk(name).faults = { latencyMs };
  }
  const fill = (name: string): void => {
    const disk = world.disk(name);
    const capacityBytes = disk
      .files()
      .reduce((sum, it) => sum + it.size, random.below(2) * random.below(20_000));
    world.note(`disk of ${name} is full`);
    disk.faults = { ...disk.faults, capacityBytes };
    world.after(random.below(4_000), () => {
      const { capacityBytes: _, ...others } = disk.faults;
      disk.faults = others;
      world.note(`disk of ${name} has room`);
    });
  };
  const tear = (name: string): void => {
    const disk = world.disk(name);
    const { onOperation } = disk;
    disk.onOperation = (operation) => {
      onOperation(operation);
      if (operation.kind !== 'sync') return;
      disk.onOperation = onOperation;
      const powerLoss = random.below(2) === 0;
      world.after(random.below(3), () => world.crash(name, { powerLoss }));
      world.after(20 + random.below(1_000), () => world.restart(name));
    };
    world.after(500, () => {
      disk.onOperation = onOperation;
    });
  };
  while (!over()) {
    await new Promise<void>((resolve) => void clock.after(100 + random.below(900), resolve));
    const name = nodes[random.below(nodes.length)]!;
    const kind = random.below(10);
    if (kind < climate.hanging) hangsUntilMs.set(name, world.nowMs + random.below(5_000));
    else if (kind < climate.hanging + climate.full) fill(name);
    else if (kind < climate.hanging + climate.full + climate.torn) tear(name);
  }
  for (const name of nodes) world.disk(name).faults = {};
}
