import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom, timeout } from 'rxjs';
import { realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { bytes, take } from './group.fixture.ts';
import type { RaftGroup } from './group.ts';
import { RaftHost } from './host.ts';
import { restoreLostMajority } from './restore.ts';

const SIZE = 3;

/** Three hosts in this process, on the loopback interface and real files. */
class Hosts {
  readonly root: string;
  readonly addresses: string[];
  readonly hosts: RaftHost[] = [];
  readonly groups = new Map<string, RaftGroup[]>();

  private constructor(root: string, addresses: string[]) {
    this.root = root;
    this.addresses = addresses;
  }

  static async start(): Promise<Hosts> {
    const root = await mkdtemp(join(tmpdir(), 'raft-host-'));
    const hosts = new Hosts(root, await freeAddresses(SIZE));
    await hosts.open();
    return hosts;
  }

  async open(): Promise<void> {
    const opened = this.addresses.map((address, i) => {
      const directory = `${this.root}/${i + 1}`;
      const ports = realPorts({ directory, sharedConnections: true, logLevel: 'silent' });
      return RaftHost.open({ ports, address, directory: 'raft' });
    });
    this.hosts.splice(0, SIZE, ...(await Promise.all(opened)));
  }

  async openGroup(groupId: string): Promise<RaftGroup[]> {
    const members = this.addresses.map((address, i) => ({ id: i + 1, address }));
    const opened = this.hosts.map((host, i) =>
      host.openGroup({ groupId, memberId: i + 1, members }),
    );
    this.groups.set(groupId, await Promise.all(opened));
    return this.groups.get(groupId)!;
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map((it) => it.close()));
    this.groups.clear();
  }

  async end(): Promise<void> {
    await this.close();
    await rm(this.root, { recursive: true });
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `shard-${i}`);

async function led(group: RaftGroup): Promise<void> {
  const known = group.status$.pipe(
    filter((it) => it.leader !== undefined),
    timeout(20_000),
  );
  await firstValueFrom(known);
}

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((it) => it === 'TCPSocketWrap').length;

describe('groups that share a host', () => {
  let hosts: Hosts;
  beforeEach(async () => {
    hosts = await Hosts.start();
  });
  afterEach(() => hosts.end());

  test('each keep their own log, also over a restart', async () => {
    const all = names(12);
    await Promise.all(all.map((it) => hosts.openGroup(it)));
    const append = (name: string, text: string, at: number): Promise<number> =>
      hosts.groups.get(name)![at % SIZE]!.append([bytes(text)]);
    await Promise.all(all.map((it, i) => append(it, `first of ${it}`, i)));
    await hosts.close();
    await hosts.open();
    await Promise.all(all.map((it) => hosts.openGroup(it)));
    await Promise.all(all.map((it, i) => append(it, `second of ${it}`, i + 1)));
    for (const name of all) {
      for (const group of hosts.groups.get(name)!) {
        expect(await take(group, 1, 2)).toEqual([`first of ${name}`, `second of ${name}`]);
      }
    }
  }, 60_000);

  test('speak over the same connections, also their heartbeats', async () => {
    await Promise.all(hosts.groups.values());
    const few = names(2);
    await Promise.all(few.map((it) => hosts.openGroup(it)));
    await Promise.all(few.map((it) => led(hosts.groups.get(it)![0]!)));
    const open = sockets();
    const more = names(40).slice(2);
    await Promise.all(more.map((it) => hosts.openGroup(it)));
    await Promise.all(more.map((it) => led(hosts.groups.get(it)![0]!)));
    expect(sockets() - open).toBeLessThanOrEqual(4);

    const sent = (): number => hosts.hosts.reduce((sum, it) => sum + it.heartbeatsSent, 0);
    const before = sent();
    while (sent() === before) await new Promise((resolve) => setTimeout(resolve, 10));
  }, 60_000);

  test('are opened and closed one by one', async () => {
    const [one] = await hosts.openGroup('one');
    const [two] = await hosts.openGroup('two');
    const syncs = (): number => two!.metrics.syncs.counts.reduce((sum, it) => sum + it, 0);
    const before = syncs();
    await two!.append([bytes('a')]);
    expect(syncs()).toBeGreaterThan(before);
    await expect(hosts.openGroup('one')).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await one!.close();
    await two!.append([bytes('b')]);
    const members = hosts.addresses.map((address, i) => ({ id: i + 1, address }));
    const again = await hosts.hosts[0]!.openGroup({ groupId: 'one', memberId: 1, members });
    await again.append([bytes('c')]);
    await expect(
      hosts.hosts[0]!.openGroup({ groupId: 'a/b', memberId: 1, members }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }, 60_000);

  test('of a host that cannot listen leave its folder to the next one', async () => {
    const directory = `${hosts.root}/late`;
    const ports = realPorts({ directory, logLevel: 'silent' });
    const open = (address: string) => RaftHost.open({ ports, address, directory: 'raft' });
    await expect(open(hosts.addresses[0]!)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    const [free = ''] = await freeAddresses(1);
    await (await open(free)).close();
  });

  test('go on with one member after a majority is lost for good', async () => {
    const [one] = await hosts.openGroup('one');
    const [other] = await hosts.openGroup('other');
    await one!.append([bytes('a')]);
    await other!.append([bytes('b')]);
    const ports = realPorts({ directory: `${hosts.root}/1`, logLevel: 'silent' });
    const restore = (groupId: string) =>
      restoreLostMajority({
        ports,
        groupId,
        member: { id: 1, address: hosts.addresses[0]! },
        directory: 'raft',
      });
    await expect(restore('one')).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await hosts.close();
    await expect(restore('none')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await ports.disk.list('raft/groups')).toEqual(['one', 'other']);
    expect((await restore('one')).membersBefore).toEqual([1, 2, 3]);
    await hosts.open();
    const [left] = await hosts.openGroup('one');
    await left!.append([bytes('c')]);
    expect(left!.status.voters).toEqual([1]);
    expect(await take(left!, 1, 2)).toEqual(['a', 'c']);
    // A group beside it is as it was.
    const [kept] = await hosts.openGroup('other');
    await kept!.append([bytes('d')]);
    expect(kept!.status.voters).toEqual([1, 2, 3]);
  }, 60_000);

  test('a host keeps nothing of a group that it was asked for and does not have', async () => {
    const host = hosts.hosts[0]!;
    for (const groupId of names(20)) {
      const destroyed = host.destroyGroup({ groupId, identity: 'none' });
      await expect(destroyed).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    await host['changes'].settled();
    expect(host['changes']['ends'].size).toBe(0);
  }, 60_000);

  test('a host is open once, and takes nothing when it is closed', async () => {
    const ports = realPorts({ directory: `${hosts.root}/1`, logLevel: 'silent' });
    const address = '127.0.0.1:0';
    const opening = RaftHost.open({ ports, address, directory: 'raft' });
    await expect(opening).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await hosts.close();
    const group = hosts.hosts[0]!.openGroup({ groupId: 'late', memberId: 1, members: [] });
    await expect(group).rejects.toMatchObject({ code: 'CLOSED' });
  }, 60_000);
});
