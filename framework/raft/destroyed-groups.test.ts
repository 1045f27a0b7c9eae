import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom, merge } from 'rxjs';
import type { Ports } from '../base/index.ts';
import { realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { World } from '../testing/simulator/world.ts';
import { bytes, take } from './group.fixture.ts';
import type { RaftGroup } from './group.ts';
import { RaftHost } from './host.ts';
import { openJournalOf } from './host-folder.ts';

const MEMBER = [{ id: 1, address: 'n:1' }];
const openHost = (ports: Ports): Promise<RaftHost> =>
  RaftHost.open({ ports, address: 'n:1', directory: 'raft' });

/** A host with the groups `gone`, which has a snapshot and entries, and `stays`. */
class Prepared {
  readonly world: World;
  identity = '';
  readonly groups = new Map<string, RaftGroup>();

  constructor(seed: number) {
    this.world = new World(seed);
    this.world.node('n', openHost);
  }

  get host(): RaftHost {
    return this.world.process('n') as RaftHost;
  }

  open(groupId: string): Promise<RaftGroup> {
    return this.host.openGroup({ groupId, memberId: 1, members: MEMBER });
  }

  async fill(): Promise<void> {
    await this.world.started();
    await this.world.play(async () => {
      for (const groupId of ['gone', 'stays']) {
        const group = await this.open(groupId);
        this.groups.set(groupId, group);
        for (const it of ['a', 'b']) await group.append([bytes(it)]);
        await group.compact(2, bytes('a'));
        await group.append([bytes('c')]);
        if (groupId === 'gone') this.identity = await group.identity();
      }
    });
    // What says which group it is has to be on the disk.
    await this.world.run(1_000);
  }

  destroy(): Promise<void> {
    return this.host.destroyGroup({ groupId: 'gone', identity: this.identity });
  }

  /** Files of the group that is destroyed, its tombstone aside. */
  get left(): string[] {
    const paths = this.world
      .disk('n')
      .files()
      .map((it) => it.path);
    return paths.filter((it) => it.startsWith('raft/groups/gone/'));
  }

  /** It is as a whole as it was, or gone for good; the other group has all of its own. */
  async check(mustBeGone: boolean): Promise<'gone' | 'whole'> {
    await this.world.started();
    // What a crash left of the clearing is done beside everything else.
    await this.world.run(1_000);
    return this.world.play(async () => {
      const stays = await this.open('stays');
      await stays.append([bytes('d')]);
      expect((await take(stays, 3, 2)).slice(0, 2)).toEqual(['b', 'c']);
      const isGone = this.host.destroyed.length > 0;
      expect(isGone || !mustBeGone).toBe(true);
      if (isGone) {
        await expect(this.open('gone')).rejects.toMatchObject({ code: 'GROUP_DESTROYED' });
        expect(this.left).toEqual([]);
        await this.destroy();
        return 'gone';
      }
      const gone = await this.open('gone');
      await gone.append([bytes('d')]);
      expect((await take(gone, 3, 2)).slice(0, 2)).toEqual(['b', 'c']);
      return 'whole';
    });
  }
}

test.each([false, true])(
  'a crash at each step (power loss: %s) leaves it whole or gone for good',
  async (powerLoss) => {
    const seen = new Set<string>();
    for (let step = 1; ; step++) {
      const it = new Prepared(step);
      await it.fill();
      const disk = it.world.disk('n');
      let halted = false;
      let destroyed = false;
      void disk.haltAt(disk.operationCount + step).then(() => {
        halted = true;
      });
      const done = it.world.play(async () => {
        void it.destroy().then(() => {
          destroyed = true;
        });
      });
      await done;
      await it.world.until(() => halted || destroyed);
      it.world.crash('n', { powerLoss });
      it.world.restart('n');
      const found = await it.check(destroyed);
      seen.add(found);
      // Nor does it come back later.
      it.world.crash('n', { powerLoss: true });
      it.world.restart('n');
      expect(await it.check(destroyed)).toBe(found);
      it.world.close();
      if (!halted) break;
      expect(step).toBeLessThan(60);
    }
    expect([...seen].sort()).toEqual(['gone', 'whole']);
  },
  60_000,
);

test('only the identity of the group destroys it, and only where it is', async () => {
  const it = new Prepared(1);
  await it.fill();
  await it.world.play(async () => {
    const { host } = it;
    const order = (groupId: string, identity: string) => host.destroyGroup({ groupId, identity });
    await expect(order('gone', 'another')).rejects.toMatchObject({ code: 'CLUSTER_MISMATCH' });
    await expect(order('gone', '')).rejects.toMatchObject({ code: 'CLUSTER_MISMATCH' });
    await expect(order('none', it.identity)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(order('a/b', it.identity)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(host.destroyed).toEqual([]);
    await it.destroy();
    expect(host.destroyed).toEqual([{ groupId: 'gone', memberId: 1, identity: it.identity }]);
    await expect(order('gone', 'another')).rejects.toMatchObject({ code: 'CLUSTER_MISMATCH' });
    await host.close();
  });
  it.world.crash('n');
  const log = await it.world.play(async () => {
    const journal = await openJournalOf('raft', it.world.ports('n'));
    return journal.open('raft group gone member 1 entries');
  });
  expect([log.first, log.end, log.value]).toEqual([1, 0, undefined]);
  it.world.close();
});

test('a full disk changes nothing', async () => {
  const it = new Prepared(1);
  await it.fill();
  const disk = it.world.disk('n');
  disk.faults = { fail: ({ kind }) => (kind === 'write' ? 'ENOSPC' : undefined) };
  await it.world.play(() => expect(it.destroy()).rejects.toMatchObject({ code: 'DISK_FULL' }));
  disk.faults = {};
  expect(await it.check(false).catch(String)).toMatch(/DIRECTORY_IN_USE/);
  it.world.crash('n');
  it.world.restart('n');
  expect(await it.check(false)).toBe('whole');
  it.world.close();
});

test.each(['destroyed', 'opened again', 'closed with its host'] as const)(
  'a member that failed is let go, and can be %s; a host may be closed by whom its end is told',
  async (then) => {
    const it = new Prepared(1);
    await it.fill();
    const disk = it.world.disk('n');
    await it.world.play(async () => {
      const { host } = it;
      const failed = it.groups.get('gone')!;
      disk.faults = { fail: ({ path }) => (path.includes('gone/snapshot') ? 'EIO' : undefined) };
      await expect(failed.compact(3, bytes('b'))).rejects.toMatchObject({ code: 'DISK_FAILED' });
      expect(failed.status.role).toBe('closed');
      disk.faults = {};
      if (then === 'destroyed') await it.destroy();
      else if (then === 'opened again') await (await it.open('gone')).append([bytes('d')]);
      let inner: Promise<void> | undefined;
      it.groups.get('stays')!.status$.subscribe({ complete: () => (inner = host.close()) });
      const outer = host.close();
      await outer;
      expect(inner).toBe(outer);
      expect(disk.openFiles).toBe(0);
      expect(await disk.isLocked('raft/groups/gone')).toBe(false);
    });
    it.world.close();
  },
);

describe('other members, over real connections', () => {
  let root: string;
  let hosts: RaftHost[];
  let groups: RaftGroup[];
  let members: { id: number; address: string }[];
  const open = (i: number): Promise<RaftHost> => {
    const ports = realPorts({ directory: join(root, `${i}`), logLevel: 'silent' });
    return RaftHost.open({ ports, address: members[i]!.address, directory: 'raft' });
  };
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'raft-destroy-'));
    members = (await freeAddresses(3)).map((address, i) => ({ id: i + 1, address }));
    hosts = await Promise.all(members.map((_, i) => open(i)));
    const opened = hosts.map((it, i) => it.openGroup({ groupId: 'g', memberId: i + 1, members }));
    groups = await Promise.all(opened);
  });
  afterEach(async () => {
    for (const it of hosts) await it.close();
    await rm(root, { recursive: true });
  });

  test('are told, go on without it, and are destroyed by an order of their own', async () => {
    const [one, two, three] = groups as [RaftGroup, RaftGroup, RaftGroup];
    await two.append([bytes('a')]);
    const identity = await one.identity();
    const told: unknown[] = [];
    one.status$.subscribe({ complete: () => told.push(one.status.role) });
    await hosts[0]!.destroyGroup({ groupId: 'g', identity });
    expect(told).toEqual(['closed']);
    await expect(one.append([bytes('x')])).rejects.toMatchObject({
      ...{ code: 'GROUP_DESTROYED', outcome: 'notAppended' },
    });
    await two.append([bytes('b')]);
    // Whoever leads speaks to it.
    const rest = [two, three];
    await firstValueFrom(
      merge(...rest.map((it) => it.status$)).pipe(
        filter(({ role, destroyedAt }) => role === 'leader' && destroyedAt.includes(1)),
      ),
    );
    // A host that starts again is the same to them.
    await hosts[0]!.close();
    hosts[0] = await open(0);
    const again = hosts[0]!.openGroup({ groupId: 'g', memberId: 1, members });
    await expect(again).rejects.toMatchObject({ code: 'GROUP_DESTROYED' });
    await two.removeMember(1);
    expect(two.status.voters).toEqual([2, 3]);
    await hosts[1]!.destroyGroup({ groupId: 'g', identity });
    // By hearsay the last one is not destroyed.
    expect(three.status.role).not.toBe('closed');
    expect(hosts[2]!.destroyed).toEqual([]);
  }, 30_000);
});
