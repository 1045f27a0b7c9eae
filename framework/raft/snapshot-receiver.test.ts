import { bytes, NAMES, type Name, SimulatedGroup } from './simulated.fixture.ts';

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

describe('a state that arrives slowly', () => {
  let group: SimulatedGroup;

  beforeEach(() => {
    group = new SimulatedGroup({ retain: { entries: 0 } }, { traceLinesMax: 100_000 });
  });

  afterEach(() => group.world.close());

  /** A member begins to take a large state from the leader. Counts how often one was begun. */
  async function beginTransfer(): Promise<{ leader: Name; behind: Name; begun: () => number }> {
    const { world } = group;
    const leader = await group.leader();
    const [behind] = group.followers(leader);
    world.crash(behind);
    const { fate: position } = await group.fate(group.at(leader).append([bytes('x')]));
    for (const name of group.running)
      await group.fate(group.at(name).compact(position as number, new Uint8Array(8_000_000)));
    await group.fate(group.at(leader).append([bytes('y')]));
    const disk = world.disk(behind);
    const files = new Set<string>();
    let begun = 0;
    let written = 0;
    disk.onOperation = ({ kind, path, bytes: many = 0 }) => {
      if (!path.includes('snapshot.')) return;
      if (kind === 'write') written += many;
      if (kind === 'open' && !files.has(path)) {
        begun++;
        files.add(path);
      }
    };
    disk.faults = {
      latencyMs: ({ kind, path }) => (kind === 'write' && path.includes('snapshot') ? 100 : 0.2),
    };
    world.restart(behind);
    await world.until(() => written > 500_000);
    return { leader, behind, begun: () => begun };
  }

  test('is not given up for one that a deposed leader offers', async () => {
    const { leader, behind, begun } = await beginTransfer();
    const { world } = group;
    // Soon it offers it again.
    await world.run(600);
    const [other] = group.followers(leader).filter((it) => it !== behind);
    // It goes on as before: nobody can tell it.
    const lift = world.partition([[behind, other!], [leader]], { oneWay: true });
    const handed = group.at(leader).transferLeadership(NAMES.indexOf(other!) + 1);
    handed.catch(() => {});
    await world.until(() => group.at(other!).status.role === 'leader');
    await world.until(() => begun() === 2);
    await world.until(() => group.at(leader).status.role !== 'leader');
    lift();
    const { commit } = group.at(other!).status;
    await world.until(() => group.at(behind).status.commit >= commit);
    expect(begun()).toBe(2);
    const givenUp = world.trace.last().filter((it) => it.includes('raft.snapshot.failed'));
    expect(givenUp.map((it) => it.includes(`"from":${NAMES.indexOf(leader) + 1}`))).toEqual([true]);
  }, 60_000);

  test('is taken also from a leader that was elected anew meanwhile', async () => {
    const { leader, behind, begun } = await beginTransfer();
    const { world } = group;
    const [other] = group.followers(leader).filter((it) => it !== behind);
    const { term } = group.at(leader).status;
    group
      .at(leader)
      .transferLeadership(NAMES.indexOf(other!) + 1)
      .catch(() => {});
    await world.until(() => group.at(leader).status.term > term);
    world.crash(other!);
    await world.until(() => group.at(leader).status.role === 'leader');
    expect(begun()).toBe(1);
    const { commit } = group.at(leader).status;
    await world.until(() => group.at(behind).status.commit >= commit);
    expect(begun()).toBe(1);
  }, 60_000);
});
