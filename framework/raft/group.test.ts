import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom } from 'rxjs';
import type { Server } from '../base/index.ts';
import { realPorts } from '../runtime/index.ts';
import { RaftGroup, type RaftGroupOptions, type RaftStatus } from './group.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (command: Uint8Array): string => new TextDecoder().decode(command);

/** Three members in this process, on the loopback interface and real files. */
class World {
  readonly members: { id: number; address: string }[] = [];
  readonly groups = new Map<number, RaftGroup>();
  private readonly servers = new Map<number, Server>();
  private readonly root: string;
  private readonly overrides: Partial<RaftGroupOptions>;

  private constructor(root: string, overrides: Partial<RaftGroupOptions>) {
    this.root = root;
    this.overrides = overrides;
  }

  static async start(size = 3, overrides: Partial<RaftGroupOptions> = {}): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'raft-')), overrides);
    for (let id = 1; id <= size; id++) {
      const { network } = realPorts({ directory: world.root });
      const probe = await network.serve('127.0.0.1:0', []);
      world.members.push({ id, address: probe.address });
      await probe.close();
    }
    for (const { id } of world.members) await world.open(id);
    return world;
  }

  async open(id: number): Promise<RaftGroup> {
    const ports = realPorts({ directory: this.root });
    const { members } = this;
    const group = await RaftGroup.open({
      ports,
      groupId: 'test',
      memberId: id,
      members,
      directory: `${id}`,
      ...this.overrides,
    });
    this.groups.set(id, group);
    this.servers.set(id, await ports.network.serve(members[id - 1]!.address, group.handlers));
    return group;
  }

  async stop(id: number): Promise<void> {
    await this.groups.get(id)?.close();
    await this.servers.get(id)?.close();
    this.groups.delete(id);
    this.servers.delete(id);
  }

  async leader(): Promise<RaftGroup> {
    const found = (it: RaftStatus): boolean =>
      it.leader !== undefined && this.groups.has(it.leader.id);
    const [any] = this.groups.values();
    const { leader } = await firstValueFrom(any!.status$.pipe(filter(found)));
    const group = this.groups.get(leader!.id)!;
    await firstValueFrom(group.status$.pipe(filter((it) => it.role === 'leader')));
    return group;
  }

  follower(leader: RaftGroup): RaftGroup {
    return [...this.groups.values()].find((it) => it !== leader)!;
  }

  async end(): Promise<void> {
    for (const id of [...this.groups.keys()]) await this.stop(id);
    await rm(this.root, { recursive: true });
  }
}

async function take(group: RaftGroup, from: number, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const next of group.follow(from)) {
    if (next.kind === 'snapshot') taken.push(`snapshot ${text(next.state)}`);
    else taken.push(...next.entries.map(({ command }) => text(command)));
    if (taken.length >= count) break;
  }
  return taken;
}

describe('a Raft group', () => {
  let world: World;
  afterEach(() => world.end());

  test('orders appends from every member and shows all the same', async () => {
    world = await World.start();
    await world.leader();
    const groups = [...world.groups.values()];
    const appends = Array.from({ length: 60 }, (_, i) => groups[i % 3]!.append([bytes(`${i}`)]));
    const positions = await Promise.all(appends);
    expect(new Set(positions).size).toBe(60);
    const [first, ...others] = await Promise.all(groups.map((it) => take(it, 1, 60)));
    expect([...first!].sort()).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`).sort());
    for (const other of others) expect(other).toEqual(first);
  });

  test('a tail read anywhere sees what was acknowledged before', async () => {
    world = await World.start();
    const leader = await world.leader();
    const follower = world.follower(leader);
    for (let i = 0; i < 20; i++) {
      const position = await follower.append([bytes('a'), bytes('b')]);
      for (const group of world.groups.values()) {
        expect(await group.tail()).toBeGreaterThanOrEqual(position + 1);
      }
    }
  });

  test('goes on when the leader is gone, and takes it back', async () => {
    world = await World.start();
    const leader = await world.leader();
    await leader.append([bytes('before')]);
    const { id } = leader.status.leader!;
    await world.stop(id);
    const next = await world.leader();
    await next.append([bytes('after')]);
    const back = await world.open(id);
    expect(await take(back, 1, 2)).toEqual(['before', 'after']);
  });

  test('remembers everything over a restart of all members', async () => {
    world = await World.start();
    const leader = await world.leader();
    await leader.append([bytes('kept')]);
    const { term } = leader.status;
    for (const id of [1, 2, 3]) await world.stop(id);
    for (const id of [1, 2, 3]) await world.open(id);
    const next = await world.leader();
    expect(next.status.term).toBeGreaterThan(term);
    expect(await take(next, 1, 1)).toEqual(['kept']);
  });

  test('gives a snapshot to a member that lacks what was compacted', async () => {
    world = await World.start();
    const leader = await world.leader();
    const away = world.follower(leader);
    const id = [...world.groups].find(([, it]) => it === away)![0];
    await world.stop(id);
    const many = Array.from({ length: 6_000 }, (_, i) => bytes(`${i}`));
    await leader.append(many);
    const last = await leader.append(many);
    await leader.compact(last + 5_998, bytes('state'));
    const follower = await world.open(id);
    expect(await take(follower, 1, 2)).toEqual(['snapshot state', '5999']);
    await world.stop(id);
    expect(await take(await world.open(id), 1, 2)).toEqual(['snapshot state', '5999']);
  }, 20_000);

  test('hands leadership over when asked', async () => {
    world = await World.start();
    const leader = await world.leader();
    await leader.transferLeadership();
    expect(leader.status.role).not.toBe('leader');
    const next = await world.leader();
    expect(next).not.toBe(leader);
    await leader.append([bytes('on')]);
  });

  test('says for certain that nothing was appended while there is no leader', async () => {
    world = await World.start();
    const leader = await world.leader();
    const alone = world.follower(leader);
    for (const [id, group] of world.groups) if (group !== alone) await world.stop(id);
    await firstValueFrom(alone.status$.pipe(filter((it) => it.leader === undefined)));
    await expect(alone.append([bytes('x')], { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      outcome: 'notAppended',
    });
    await expect(alone.tail({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('does not pass appends on when it is told not to', async () => {
    world = await World.start(3, { forward: false });
    const leader = await world.leader();
    const follower = world.follower(leader);
    await firstValueFrom(follower.status$.pipe(filter((it) => it.leader !== undefined)));
    await expect(follower.append([bytes('x')])).rejects.toMatchObject({
      code: 'NOT_LEADER',
      outcome: 'notAppended',
      details: { leader: leader.status.leader!.address },
    });
  });

  test('a folder of another member is refused', async () => {
    world = await World.start(1);
    await world.leader();
    await world.stop(1);
    const open = RaftGroup.open({
      ports: realPorts({ directory: (world as unknown as { root: string }).root }),
      groupId: 'test',
      memberId: 2,
      members: [{ id: 2, address: '127.0.0.1:1' }],
      directory: '1',
    });
    await expect(open).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  });

  test('close fails what waits and may be repeated', async () => {
    world = await World.start(1);
    const leader = await world.leader();
    const following = take(leader, 1_000, 1);
    const closing = Promise.all([leader.close(), leader.close()]);
    await expect(following).rejects.toMatchObject({ code: 'CLOSED' });
    await closing;
    await expect(leader.append([bytes('x')])).rejects.toMatchObject({
      code: 'CLOSED',
      outcome: 'notAppended',
    });
  });
});
