import { bytes, SimulatedGroup } from './simulated.fixture.ts';

const SLOW_MS = 3_000;

test('a snapshot that arrives while an older one is still being written does no harm', async () => {
  const failures: string[] = [];
  const group = new SimulatedGroup({
    retain: { entries: 0 },
    onFailure: (error) => failures.push(error.message),
  });
  const { world } = group;
  try {
    const leader = await group.leader();
    const [behind, other] = group.followers(leader);
    const compacted = async (): Promise<void> => {
      const { fate } = await group.fate(group.at(leader).append([bytes('x')]));
      const position = fate as number;
      for (const name of [leader, other]) {
        await group.fate(group.at(name).compact(position, bytes(`state ${position}`)));
      }
    };
    world.crash(behind);
    await compacted();
    world.disk(behind).faults = {
      latencyMs: ({ kind, path }) => (kind === 'write' && /snapshot/.test(path) ? SLOW_MS : 0.2),
    };
    world.restart(behind);
    for (let i = 0; i < 4; i++) {
      await world.run(500);
      const lift = world.partition([[behind], [leader, other]]);
      for (let j = 0; j < 3; j++) await compacted();
      await world.run(100);
      lift();
    }
    const { commit } = group.at(leader).status;
    await world.until(() => group.at(behind).status.commit >= commit, 30_000);
    // Until all of it is on disk.
    await world.run(20_000);
    expect(failures).toEqual([]);
    expect(group.at(behind).metrics.snapshotsInstalled).toBeGreaterThan(1);
  } finally {
    world.close();
  }
}, 60_000);

test('a leader that falls silent in the middle of its snapshot does not keep the next one waiting', async () => {
  const group = new SimulatedGroup({ retain: { entries: 0 } });
  const { world } = group;
  try {
    const leader = await group.leader();
    const [behind] = group.followers(leader);
    world.crash(behind);
    const state = new Uint8Array(40_000_000);
    const { fate: position } = await group.fate(group.at(leader).append([bytes('x')]));
    for (const name of group.running)
      await group.fate(group.at(name).compact(position as number, state));
    await group.fate(group.at(leader).append([bytes('y')]));
    world.restart(behind);
    let seen = 0;
    const { trace } = world;
    await world.until(() => {
      seen += trace.last(5).some((it) => it.includes(`${leader} > ${behind} message`)) ? 1 : 0;
      return seen > 20;
    });
    world.pause(leader);
    const beganMs = world.nowMs;
    const next = await group.leader(leader);
    await world.until(() => group.at(behind).status.commit >= group.at(next).status.commit, 30_000);
    expect(world.nowMs - beganMs).toBeLessThan(6_000);
  } finally {
    world.close();
  }
}, 60_000);
