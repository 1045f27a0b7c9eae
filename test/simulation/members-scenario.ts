import { type Disk, type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { Varlog } from '../../framework/log/client/index.ts';
import type { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';
import { NodeRoles } from '../../framework/log/roles/index.ts';
import type { StorageNode } from '../../framework/log/storage-node/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { withFaults } from './faults.ts';
import { leaderAmong } from './leader-among.ts';
import { watchMembers } from './members-observer.ts';
import { must } from './memory.ts';
import { makeTopic } from './three-nodes.ts';

/** Storage nodes from the beginning to the end, and the first members. */
const FIRST = ['n1', 'n2', 'n3'];
const CLIENTS = 2;
const MEMBERS_MAX = 5;
const CALL_TIMEOUT_MS = 6_000;
const TRIES = 4;
const SETTLED_WITHIN_MS = 60_000;

/** What a machine is started as. */
interface Role {
  readonly nodeId: number;
  memberId: number;
  port: number;
  join: boolean;
  /** As in its configuration, which nobody brings up to date unless it has to be. */
  members: { id: number; address: string }[];
  /** An operator is at it: nobody else starts it. */
  down: boolean;
}

/** What runs on a machine. */
export interface RunningMember extends Process {
  readonly repository: MetadataRepository | undefined;
  readonly storage: StorageNode | undefined;
}

/**
 * A cluster of three whose members come and go while it goes through crashes, power losses, partitions and pauses: an
 * operator adds members on new machines, removes any, moves them to other ports and replaces such whose disks were emptied.
 * Each change may be refused, or its outcome unknown: then it is asked for again, or given up. Meanwhile no emptied
 * disk counts, and nobody votes before it has caught up. When all is well again, every member is one of those that the leader
 * knows, whoever was removed has ended, every storage node has found the members, and the log is as it was acknowledged.
 */
export async function membersScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  const unwatch = watchMembers((error) => world.fail(error));
  try {
    await new MembersRun(world).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    unwatch();
    world.close();
  }
}

class MembersRun {
  private readonly world: World;
  private readonly roles = new Map<string, Role>();
  private readonly names = [...FIRST];
  private readonly history: History = { attempts: [], commands: [] };
  /** Ids that were surely removed, by machine. */
  private readonly removed = new Map<string, number>();
  private lastId = FIRST.length;

  constructor(world: World) {
    this.world = world;
  }

  async play(): Promise<void> {
    const { world } = this;
    const members = FIRST.map((name, i) => ({ id: i + 1, address: `${name}:9092` }));
    for (const [i, name] of FIRST.entries()) {
      this.add(name, { nodeId: i + 1, memberId: i + 1, join: false, members });
    }
    const topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    let over = false;
    const clients = startAppenders(world, CLIENTS, topicId, this.history, () => over);
    const operator = this.operate(world.ports('operator'), () => over);
    await withFaults(world, this.names);
    over = true;
    await world.play(() => operator, 120_000);
    for (const name of this.names) world.restart(name);
    await this.settled();
    await this.fetchStrays();
    await world.play(() => Promise.all(clients), 120_000);
    const endpoints = this.leader()!.members.map((it) => it.address);
    const auditor = world.ports('auditor');
    await world.play(() => checkLog(auditor, topicId, this.history, endpoints), 120_000);
  }

  private async operate(ports: Ports, over: () => boolean): Promise<void> {
    const { random, clock } = ports;
    while (!over()) {
      await sleep(clock, 100 + random.below(900));
      const leader = this.leader();
      if (leader === undefined) continue;
      const { members } = leader;
      const voters = members.filter((it) => !it.learner).length;
      // Of fewer than three the loss of one disk is the loss of a majority.
      const kind = voters < 3 ? random.below(3) : random.below(5);
      const member = members[random.below(members.length)]!;
      const name = this.nameOf(member.id);
      this.world.note(`operator ${kind} ${name ?? member.id}`);
      if (kind === 0 && members.length < MEMBERS_MAX) await this.grow(ports);
      else if (kind === 1 && members.length > 1) await this.remove(ports, member.id);
      // Nobody tells the nodes where the only one has gone.
      else if (kind === 2 && voters > 1 && name !== undefined) await this.move(ports, name);
      else if (kind > 2 && name !== undefined) await this.replaceEmptied(ports, name);
    }
  }

  /** One more, on a machine of its own. */
  private async grow(ports: Ports): Promise<void> {
    const id = ++this.lastId;
    const name = `m${id}`;
    this.add(name, { nodeId: id, memberId: id, join: true, members: this.known() });
    this.names.push(name);
    const isDone = await this.attempt(ports, (it, limits) =>
      it.members.add({ id, address: this.addressOf(name) }, limits),
    );
    // It may be there, or learn for ever: neither is to stay.
    if (!isDone) await this.remove(ports, id);
  }

  private async remove(ports: Ports, id: number): Promise<void> {
    const name = this.nameOf(id);
    let isGone = false;
    const isDone = await this.attempt(ports, (it, limits) =>
      it.members.remove(id, limits).catch((error: unknown) => {
        isGone = VarlogError.is(error, 'NOT_FOUND');
        if (!isGone) throw error;
      }),
    );
    if (isDone && !isGone && name !== undefined) this.removed.set(name, id);
  }

  /** It listens elsewhere from now on. It says so itself too. */
  private async move(ports: Ports, name: string): Promise<void> {
    const role = this.roles.get(name)!;
    await this.maintain(name, () => {
      role.port++;
      const others = role.members.filter((it) => it.id !== role.memberId);
      role.members = [...others, { id: role.memberId, address: this.addressOf(name) }];
    });
    const member = { id: role.memberId, address: this.addressOf(name) };
    await this.attempt(ports, (it, limits) => it.members.move(member, limits));
  }

  /** Its disk is emptied, as a member. It comes back as if nothing had been, and is replaced under a new id. */
  private async replaceEmptied(ports: Ports, name: string): Promise<void> {
    const role = this.roles.get(name)!;
    const lost = role.memberId;
    const disk = this.world.disk(name);
    await this.maintain(name, async () => {
      await empty(disk, `metadata-${lost}`);
      // Told to join or not, it is not to be taken for itself.
      role.join = ports.random.below(2) === 0;
    });
    await this.comesBack(ports, lost, name);
    const id = ++this.lastId;
    await this.maintain(name, async () => {
      await empty(disk, `metadata-${lost}`);
      role.memberId = id;
      role.join = true;
      role.members = [
        ...this.known().filter((it) => it.id !== lost),
        { id, address: this.addressOf(name) },
      ];
    });
    const member = { id, address: this.addressOf(name) };
    // A second disk must not be lost before this one is replaced.
    for (;;) {
      const isDone = await this.attempt(ports, (it, limits) =>
        it.members.replace(lost, member, limits),
      );
      if (isDone) return;
    }
  }

  /** For a while a member runs with an emptied disk: nothing of what it says may count. */
  private async comesBack({ clock, random }: Ports, lost: number, name: string): Promise<void> {
    const all = (): MetadataRepository[] =>
      this.names.map((it) => this.repositoryOf(it)).filter((it) => it !== undefined);
    // Where nobody runs just now, nothing has counted yet.
    const last = Math.max(0, ...all().map((it) => it.status.last));
    const end = clock.now() + 500 + random.below(1_500);
    while (clock.now() < end) {
      await sleep(clock, 50);
      const votes = this.repositoryOf(name)?.['group']['driver'].raft.disqualified === false;
      must(!votes, `member ${lost} votes with an emptied disk`);
      for (const { metrics } of all()) {
        const { match = 0 } = metrics.members.find((it) => it.id === lost) ?? {};
        must(
          match <= last,
          `${match} of ${last} entries count on an emptied disk, of member ${lost}`,
        );
      }
    }
  }

  /** Whether it was done, after some tries. Nothing but a refusal or a failure that says what it is may come of it. */
  private async attempt(
    ports: Ports,
    work: (varlog: Varlog, limits: { timeoutMs: number }) => Promise<void>,
  ): Promise<boolean> {
    for (let i = 0; i < TRIES; i++) {
      let varlog: Varlog | undefined;
      try {
        const endpoints = this.known().map((it) => it.address);
        varlog = await Varlog.connect({ endpoints, timeoutMs: CALL_TIMEOUT_MS, ports });
        await work(varlog, { timeoutMs: CALL_TIMEOUT_MS });
        return true;
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
        this.world.note(`operator is refused: ${error.message}`);
      } finally {
        await varlog?.close();
      }
      await sleep(ports.clock, 200 + ports.random.below(500));
    }
    return false;
  }

  private async maintain(name: string, work: () => void | Promise<void>): Promise<void> {
    const role = this.roles.get(name)!;
    role.down = true;
    this.world.crash(name);
    await work();
    role.down = false;
    // What was started meanwhile did nothing.
    this.world.crash(name);
    this.world.restart(name);
  }

  private add(name: string, role: Omit<Role, 'port' | 'down'>): void {
    this.roles.set(name, { ...role, port: 9092, down: false });
    this.world.node(name, (ports) => this.start(ports, name));
  }

  private async start(ports: Ports, name: string): Promise<RunningMember> {
    const { nodeId, memberId, join, members, down } = this.roles.get(name)!;
    if (down) return { repository: undefined, storage: undefined, close: async () => {} };
    const own = { id: memberId, address: this.addressOf(name) };
    const roles = new NodeRoles({
      ports,
      clusterId: 1,
      nodeId,
      address: own.address,
      members: members.some((it) => it.id === memberId) ? members : [...members, own],
    });
    await roles.startMetadata({
      memberId,
      join,
      directory: `metadata-${memberId}`,
      replicationFactor: FIRST.length,
    });
    if (FIRST.includes(name)) await roles.startStorage({ directory: 'storage' });
    await roles.serve();
    const { repository, storageNode: storage } = roles;
    return { repository, storage, close: () => roles.close() };
  }

  /** Waits until the members are those that the leader knows, each as far as it, and all storage nodes are there. */
  private async settled(): Promise<void> {
    await this.world
      .until(() => this.problem() === undefined, SETTLED_WITHIN_MS)
      .catch((cause) => {
        throw new Error(`not settled: ${this.problem()}`, { cause });
      });
  }

  /**
   * A storage node that was cut off until all the members that it knew of were elsewhere is found by nobody: it
   * is started with those that there are now.
   */
  private async fetchStrays(): Promise<void> {
    const { world } = this;
    const isLost = (i: number): boolean => this.leader()?.orderer?.isUp(i + 1) !== true;
    for (const [i, name] of FIRST.entries()) {
      if (!isLost(i)) continue;
      const upToDate = (): void => {
        this.roles.get(name)!.members = this.known();
      };
      await world.play(() => this.maintain(name, upToDate), 60_000);
      await world.until(() => !isLost(i), SETTLED_WITHIN_MS);
    }
  }

  private problem(): string | undefined {
    const leader = this.leader();
    if (leader === undefined) return 'there is no leader';
    const { members } = leader;
    for (const { id, address, learner } of members) {
      if (learner) return `member ${id} only learns`;
      const name = this.nameOf(id);
      const own = name === undefined ? undefined : this.repositoryOf(name);
      if (own === undefined) return `member ${id} does not run`;
      if (own.failure !== undefined) return `member ${id} failed: ${own.failure.message}`;
      if (address !== this.addressOf(name!)) return `member ${id} is not at ${address}`;
      if (String(own.status.voters) !== String(leader.status.voters))
        return `member ${id} knows ${own.status.voters}, the leader ${leader.status.voters}`;
    }
    for (const [name, id] of this.removed) {
      const own = this.repositoryOf(name);
      if (members.some((it) => it.id === id)) return `member ${id} was removed, and is there`;
      // Its machine may be another member by now.
      if (own?.options.memberId !== id) continue;
      // Whom it knows may be gone too: then nobody is left who could tell it.
      if (!this.isMember(own.members.map((it) => it.address))) continue;
      if (own.failure?.code !== 'MEMBER_REMOVED') return `member ${id} was removed, and goes on`;
    }
    const lost = FIRST.findIndex(
      (name, i) =>
        leader.orderer?.isUp(i + 1) !== true &&
        this.isMember(this.running(name)?.storage?.['members'].addresses ?? []),
    );
    return lost < 0 ? undefined : `storage node ${lost + 1} has not found the leader`;
  }

  /** Whether a member listens at one of these addresses. */
  private isMember(addresses: readonly string[]): boolean {
    return this.leader()?.members.some((it) => addresses.includes(it.address)) === true;
  }

  private leader(): MetadataRepository | undefined {
    return leaderAmong(this.names.map((it) => this.repositoryOf(it)));
  }

  /** The members as an operator would have noted them. */
  private known(): { id: number; address: string }[] {
    const newest = this.names
      .map((it) => this.repositoryOf(it))
      .filter((it) => it !== undefined && it.failure === undefined)
      .sort((a, b) => b!.status.commit - a!.status.commit)[0];
    const { members = [] } = newest ?? {};
    const listed = members.map(({ id, address }) => ({ id, address }));
    return listed.length > 0
      ? listed
      : FIRST.map((it, i) => ({ id: i + 1, address: `${it}:9092` }));
  }

  private repositoryOf(name: string): MetadataRepository | undefined {
    return this.running(name)?.repository;
  }

  private running(name: string): RunningMember | undefined {
    return this.world.process(name) as RunningMember | undefined;
  }

  private nameOf(id: number): string | undefined {
    return this.names.find((it) => this.roles.get(it)!.memberId === id);
  }

  private addressOf(name: string): string {
    return `${name}:${this.roles.get(name)!.port}`;
  }
}

async function empty(disk: Disk, folder: string): Promise<void> {
  await disk.remove(folder);
  await disk.syncDirectory('');
}
