import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joined, type Server, sleep } from '../base/index.ts';
import { realClock, realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import { RaftGroup } from './group.ts';
import type { RaftGroupOptions } from './group-options.ts';

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (command: Uint8Array): string => new TextDecoder().decode(command);

/** Three members in this process, on the loopback interface and real files. */
export class GroupFixture {
  readonly members: { id: number; address: string }[] = [];
  readonly groups = new Map<number, RaftGroup>();
  private readonly servers = new Map<number, Server>();
  readonly root: string;
  private readonly overrides: Partial<RaftGroupOptions>;

  private constructor(root: string, overrides: Partial<RaftGroupOptions>) {
    this.root = root;
    this.overrides = overrides;
  }

  static async start(size = 3, overrides: Partial<RaftGroupOptions> = {}): Promise<GroupFixture> {
    const fixture = await GroupFixture.prepare(size, overrides);
    for (const { id } of [...fixture.members]) await fixture.open(id);
    return fixture;
  }

  /** Members with addresses that are not started yet. */
  static async prepare(
    size: number,
    overrides: Partial<RaftGroupOptions> = {},
  ): Promise<GroupFixture> {
    const fixture = new GroupFixture(await mkdtemp(join(tmpdir(), 'raft-')), overrides);
    for (const [i, address] of (await freeAddresses(size)).entries()) {
      fixture.members.push({ id: i + 1, address });
    }
    return fixture;
  }

  /** A further member, which is to be added to the group. */
  async join(id: number): Promise<{ id: number; address: string }> {
    const member = { id, address: (await freeAddresses(1))[0]! };
    this.members.push(member);
    await this.open(id, { join: true });
    return member;
  }

  async open(id: number, overrides: Partial<RaftGroupOptions> = {}): Promise<RaftGroup> {
    const ports = realPorts({ directory: this.root, logLevel: 'silent' });
    const { members } = this;
    const group = await RaftGroup.open({
      ports,
      groupId: 'test',
      memberId: id,
      members,
      directory: `${id}`,
      ...this.overrides,
      ...overrides,
    });
    this.groups.set(id, group);
    this.servers.set(id, await ports.network.serve(members[id - 1]!.address, group.handlers));
    return group;
  }

  /** The disk of a member that is not running is lost. */
  async wipe(id: number): Promise<void> {
    await rm(join(this.root, `${id}`), { recursive: true });
  }

  /** Keeps a copy of the disk of a member that is not running. */
  async copy(id: number, name: string): Promise<void> {
    await cp(join(this.root, `${id}`), join(this.root, name), { recursive: true });
  }

  async putBack(id: number, name: string): Promise<void> {
    await this.wipe(id);
    await cp(join(this.root, name), join(this.root, `${id}`), { recursive: true });
  }

  async stop(id: number): Promise<void> {
    await this.groups.get(id)?.close();
    await this.servers.get(id)?.close();
    this.groups.delete(id);
    this.servers.delete(id);
  }

  /** Whoever says that it leads. What another one says may be of yesterday. */
  async leader(): Promise<RaftGroup> {
    for (;;) {
      const found = [...this.groups.values()].find((it) => it.status.role === 'leader');
      if (found !== undefined) return found;
      await sleep(realClock(), 5);
    }
  }

  follower(leader: RaftGroup): RaftGroup {
    return [...this.groups.values()].find((it) => it !== leader)!;
  }

  async end(): Promise<void> {
    for (const id of [...this.groups.keys()]) await this.stop(id);
    await rm(this.root, { recursive: true });
  }
}

export async function take(group: RaftGroup, from: number, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const next of group.follow(from)) {
    if (next.kind === 'snapshot') taken.push(`snapshot ${text(await joined(next.state))}`);
    else taken.push(...next.entries.map(({ command }) => text(command)));
    if (taken.length >= count) break;
  }
  return taken;
}
