import { sleep, type VarlogError } from '../base/index.ts';
import type { DiskFaults } from '../testing/simulator/disk.ts';
import type { DiskOperation } from '../testing/simulator/mounted-disk.ts';
import { World } from '../testing/simulator/world.ts';
import { RaftHost } from './host.ts';
import { bytes, type Name, SimulatedGroup } from './simulated.fixture.ts';
import { RaftStorage } from './storage.ts';

let group: SimulatedGroup;
afterEach(() => group?.world.close());

const BIG = new Uint8Array(1024 * 1024);

/** The disk of a machine takes nothing more, and gives something back only when it is removed. */
function fill(name: Name): void {
  const disk = group.world.disk(name);
  disk.faults = { capacityBytes: disk.files().reduce((sum, it) => sum + it.size, 0) };
}

function hang(name: Name): void {
  const stuck = ({ kind }: DiskOperation): number =>
    kind === 'write' || kind.startsWith('sync') ? Infinity : 0.1;
  group.world.disk(name).faults = { latencyMs: stuck };
}

describe('a leader whose disk hangs', () => {
  test('hands over, though a majority acknowledges without it', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    hang(leader);
    expect((await group.fate(group.at(leader).append([bytes('x')]))).fate).toEqual(
      expect.any(Number),
    );
    const next = await group.leader(leader, 10_000);
    expect(group.at(leader).metrics.diskTrouble).toBe('stalled');
    expect((await group.fate(group.at(next).append([bytes('y')]))).fate).toEqual(
      expect.any(Number),
    );
  });

  test('takes no more than its memory is to hold', async () => {
    group = new SimulatedGroup({ queuedBytesMax: 8 * BIG.length }, {});
    const leader = await group.leader();
    const member = group.at(leader);
    hang(leader);
    let most = 0;
    let over = false;
    const { clock } = group.world.ports('test');
    const load = async (): Promise<void> => {
      while (!over && member.status.role === 'leader') {
        await member.append([BIG], { timeoutMs: 400 }).catch(() => sleep(clock, 10));
        most = Math.max(most, member.metrics.unsyncedBytes);
      }
    };
    // Before it is noticed that the disk hangs.
    await group.fate(Promise.all(Array.from({ length: 8 }, load)), 2_500);
    over = true;
    expect(most).toBeGreaterThan(50 * BIG.length);
    expect(most).toBeLessThan(100 * BIG.length);
  }, 60_000);
});

describe('a full disk', () => {
  test('of the leader: another one leads, and all goes on when there is room again', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    fill(leader);
    expect((await group.fate(group.at(leader).append([BIG]))).fate).toEqual(expect.any(Number));
    const next = await group.leader(leader, 10_000);
    expect((await group.fate(group.at(next).append([BIG]))).fate).toEqual(expect.any(Number));
    expect((await group.fate(group.at(leader).append([BIG]))).fate).toEqual(expect.any(Number));
    expect(group.at(leader).metrics.diskTrouble).toBe('full');
    group.world.disk(leader).faults = {};
    const end = group.at(next).status.last;
    await group.world.until(() => group.at(leader).status.commit >= end, 20_000);
    expect(group.at(leader).metrics.diskTrouble).toBeUndefined();
  });

  test('of all: appends are refused for certain, reads go on, and it heals by itself', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const member = group.at(leader);
    await group.fate(member.append([bytes('x')]));
    for (const name of ['a', 'b', 'c'] as const) fill(name);
    // The first may have been written somewhere.
    await group.fate(member.append([BIG], { timeoutMs: 5_000 }));
    await group.world.run(10_000);
    const now = group.at(await group.leader());
    for (let i = 0; i < 3; i++) {
      const refused = await group.fate(now.append([BIG]), 5_000);
      expect([refused.fate, refused.ms < 2_000]).toEqual(['DISK_FULL notAppended', true]);
    }
    expect((await group.fate(now.tail())).fate).toEqual(expect.any(Number));
    for (const name of ['a', 'b', 'c'] as const) group.world.disk(name).faults = {};
    await group.world.run(5_000);
    expect((await group.fate(now.append([BIG]))).fate).toEqual(expect.any(Number));
  });

  test('a snapshot for which there is no room is refused, counted, and made up for', async () => {
    group = new SimulatedGroup({ retain: { entries: 0 } });
    const leader = await group.leader();
    const member = group.at(leader);
    const { fate: position } = await group.fate(member.append([bytes('x')]));
    const full = ({ kind, path }: DiskOperation) =>
      kind === 'write' && path.includes('snapshot') ? ('ENOSPC' as const) : undefined;
    group.world.disk(leader).faults = { fail: full };
    const compact = () => group.fate(member.compact(position as number, bytes('state')));
    expect((await compact()).fate).toBe('DISK_FULL');
    expect([member.metrics.compactionsFailed, member.status.first]).toEqual([1, 1]);
    group.world.disk(leader).faults = {};
    expect((await compact()).fate).toBeUndefined();
    expect([member.metrics.compactionsFailed, member.status.first]).toEqual([1, 3]);
  });
});

test('a disk that fails with a snapshot ends the member, which says so', async () => {
  const failures: string[] = [];
  group = new SimulatedGroup({ onFailure: ({ code }) => failures.push(code) });
  const member = group.at(await group.leader());
  const { fate: position } = await group.fate(member.append([bytes('x')]));
  const broken = ({ kind, path }: DiskOperation) =>
    kind === 'write' && path.includes('snapshot') ? ('EIO' as const) : undefined;
  for (const name of group.running) group.world.disk(name).faults = { fail: broken };
  const compacted = member.compact(position as number, bytes('state'));
  expect((await group.fate(compacted)).fate).toMatch(/DISK_FAILED|CLOSED/);
  expect([failures, member.status.role]).toEqual([['DISK_FAILED'], 'closed']);
});

test('close settles a snapshot that the disk does not take', async () => {
  group = new SimulatedGroup();
  const leader = await group.leader();
  const { fate: position } = await group.fate(group.at(leader).append([bytes('x')]));
  hang(leader);
  const compacted = group.fate(group.at(leader).compact(position as number, bytes('state')));
  await group.world.run(100);
  void group.at(leader).close();
  expect((await compacted).fate).toBe('CLOSED');
});

describe('leadership', () => {
  test('is given up by a member whose state machine failed, until it is opened anew', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    group.at(leader).resign('the state machine failed');
    const next = await group.leader(leader);
    expect(group.at(leader).status.resigned).toBe('the state machine failed');
    expect(group.at(leader).metrics.resigned).toBe('the state machine failed');
    // It votes, and passes appends on.
    const [third] = group.followers(next).filter((it) => it !== leader);
    group.world.crash(next);
    expect(await group.leader(leader)).toBe(third);
    expect((await group.fate(group.at(leader).append([bytes('x')]))).fate).toEqual(
      expect.any(Number),
    );
    await expect(
      group.world.play(() => group.at(third!).transferLeadership(1 + 'abc'.indexOf(leader))),
    ).rejects.toMatchObject({ code: 'TIMEOUT' });
    group.world.crash(third!);
    await group.world.run(10_000);
    expect(group.at(leader).status.role).toBe('follower');
    group.world.restart(third!);
    expect(await group.leader(leader)).toBe(third);
  });

  test('is given up also where nobody takes it', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const [one, two] = group.followers(leader);
    group.world.pause(one);
    group.world.pause(two);
    group.at(leader).resign('the state machine failed');
    await group.world.run(3_000);
    expect(group.at(leader).status.role).toBe('follower');
    group.world.resume(one);
    group.world.resume(two);
    expect(await group.leader(leader)).not.toBe(leader);
  });

  test('is not said to be handed over when it is not', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const [one] = group.followers(leader);
    const move = (at: Name, to?: number) => group.fate(group.at(at).transferLeadership(to));
    expect((await move(one)).fate).toBe('NOT_LEADER');
    expect((await move(leader, 17)).fate).toBe('FAILED_PRECONDITION');
    group.world.pause(one);
    expect((await move(leader, 1 + 'abc'.indexOf(one))).fate).toBe('TIMEOUT');
    expect(group.at(leader).status.role).toBe('leader');
    expect((await move(leader)).fate).toBeUndefined();
  });
});

describe('a disk that fills up while it is closed', () => {
  const CLOSED_MS = 10_000;
  /** Writes are refused, and take long enough for that to be asked to close meanwhile. */
  const fullAndSlow: DiskFaults = {
    latencyMs: ({ kind }) => (kind === 'write' ? 50 : 0.1),
    fail: ({ kind }) => (kind === 'write' ? 'ENOSPC' : undefined),
  };
  let world: World;
  afterEach(() => world.close());

  test('does not hold up a host, nor its groups', async () => {
    world = new World(1);
    const directory = 'raft';
    world.node('n', (ports) => RaftHost.open({ ports, address: 'n:1', directory }));
    await world.started();
    const fate = await world.play(async () => {
      const host = world.process('n') as RaftHost;
      const members = [{ id: 1, address: 'n:1' }];
      const member = await host.openGroup({ groupId: 'g', memberId: 1, members });
      await member.append([bytes('x')]);
      world.disk('n').faults = fullAndSlow;
      const { clock } = world.ports('n');
      const lost = member.append([BIG]).catch((error: VarlogError) => error.outcome);
      await sleep(clock, 10);
      const closed = host.close().then(() => 'closed');
      return Promise.all([
        Promise.race([closed, sleep(clock, CLOSED_MS).then(() => 'hangs')]),
        lost,
      ]);
    });
    expect(fate).toEqual(['closed', 'unknown']);
  });

  test('does not hold up a member with a log of its own that has entries to cut off', async () => {
    world = new World(1);
    world.node('n', (ports) => {
      const { disk, clock } = ports;
      const place = { directory: 'raft', label: 'a member' };
      return RaftStorage.open({ disk, clock, ...place, onFailure: () => {} });
    });
    await world.started();
    const fate = await world.play(async () => {
      const storage = world.process('n') as RaftStorage;
      const { clock } = world.ports('n');
      const nothing = { hardState: undefined, snapshot: undefined, truncateTo: undefined };
      const batchAt = (index: number) => [{ index, term: 1, count: 1, payload: BIG }];
      storage.write({ sequence: 1, ...nothing, batches: batchAt(1) });
      await sleep(clock, 1_000);
      world.disk('n').faults = fullAndSlow;
      storage.write({ sequence: 2, ...nothing, batches: batchAt(2) });
      storage.write({ sequence: 3, ...nothing, truncateTo: 1, batches: [] });
      const closed = storage.close().then(() => 'closed');
      return Promise.race([closed, sleep(clock, CLOSED_MS).then(() => 'hangs')]);
    });
    expect(fate).toBe('closed');
  });
});
