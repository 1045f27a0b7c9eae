import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { Varlog } from '../../framework/log/client/index.ts';
import {
  describeHealth,
  type MetadataRepository,
} from '../../framework/log/metadata-repository/index.ts';
import { NodeRoles } from '../../framework/log/roles/index.ts';
import type { StorageNode } from '../../framework/log/storage-node/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { copyFolder, moveFolder } from './folders.ts';
import { must } from './memory.ts';
import { makeTopic } from './three-nodes.ts';

const OWN = ['n1', 'n2', 'n3'];
const OTHER = 'm1';
const CLIENTS = 2;
const STEPS = 5;
const WHOLE_WITHIN_MS = 60_000;
const addressOf = (name: string): string => `${name}:9092`;

/** What a machine is started as. The numbers are the same in both clusters: they prove nothing. */
interface Role {
  id: number;
  members: string[];
  /** Without: a storage node alone. */
  withMetadata: boolean;
}

interface RunningNode extends Process {
  readonly repository: MetadataRepository | undefined;
  readonly storage: StorageNode | undefined;
  /** Why it does not run. */
  readonly refusal: VarlogError | undefined;
}

/**
 * Everybody is taken for somebody else: a cluster of three, beside another one with the same numbers, goes through wrong
 * members, emptied, copied, swapped and rolled-back folders, a metadata repository that is made anew, and second
 * processes of a node, one thing at a time. Nothing that was acknowledged may be lost or be there twice, nothing
 * may be deleted, every refusal must say what to do, and every log stream must be whole again after each.
 */
export async function identityScenario(
  seed: number,
  mutate: (ports: Ports) => Ports = (ports) => ports,
): Promise<RunReport> {
  const world = new World(seed);
  try {
    const run = new IdentityRun(world, mutate);
    await run.play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class IdentityRun {
  private readonly world: World;
  private readonly mutate: (ports: Ports) => Ports;
  private readonly roles = new Map<string, Role>();
  private readonly history: History = { attempts: [], commands: [] };
  private topicId = 0;
  private twins = 0;

  constructor(world: World, mutate: (ports: Ports) => Ports) {
    this.world = world;
    this.mutate = mutate;
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const [i, name] of OWN.entries()) this.add(name, { id: i + 1, members: OWN });
    this.add(OTHER, { id: 1, members: [OTHER] });
    this.topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    await world.play(() => makeOtherTopic(world.ports('stranger')), 60_000);
    let over = false;
    const clients = startAppenders(world, CLIENTS, this.topicId, this.history, () => over);
    const random = world.random.stream('identity');
    for (let i = 0; i < STEPS; i++) {
      await world.run(500 + random.below(1_500));
      const name = random.pick(OWN);
      const step = random.pick(STEPS_BY_NAME);
      world.note(`step ${step} ${name}`);
      await this[step](name);
      await this.whole(step);
    }
    over = true;
    await world.play(() => Promise.all(clients), 120_000);
    await world.play(() => checkLog(world.ports('auditor'), this.topicId, this.history), 120_000);
    await world.play(() => checkOtherLog(world.ports('stranger')), 120_000);
  }

  /** Its configuration names the members of the other cluster. */
  async wrongMembers(name: string): Promise<void> {
    this.crash(name);
    const before = await this.replicasOf(name);
    this.restart(name, { members: [OTHER], withMetadata: false });
    await this.world.run(3_000);
    this.expectRefusal(name, 'CLUSTER_MISMATCH');
    await this.expectKept(name, before);
    this.restart(name, { members: OWN, withMetadata: true });
  }

  /** The folder of a storage node is emptied: it is refused until an operator replaces it. */
  async emptied(name: string): Promise<void> {
    this.crash(name);
    await this.files(() => moveFolder(this.world.disk(name), 'storage', 'lost'));
    this.restart(name);
    await this.world.run(2_500);
    this.expectRefusal(name, 'DISK_UNKNOWN', 'varlog node replace');
    const { id } = this.roles.get(name)!;
    await this.operate((varlog) => varlog.replaceStorageNode(id));
  }

  /** An old copy of a storage node's folder is put in its place. */
  async rolledBack(name: string): Promise<void> {
    const disk = this.world.disk(name);
    this.crash(name);
    await this.files(() => copyFolder(disk, 'storage', disk, 'old'));
    this.restart(name);
    await this.world.run(1_500);
    this.crash(name);
    await this.files(async () => {
      await disk.remove('storage');
      await moveFolder(disk, 'old', 'storage');
    });
    this.restart(name);
  }

  /** The files of one replica are gone, or of all of a node. */
  async emptiedReplicas(name: string): Promise<void> {
    const random = this.world.random.stream('emptied replicas');
    this.crash(name);
    for (const replica of await this.replicasOf(name)) {
      if (random.below(2) === 0) continue;
      await this.files(async () => {
        const disk = this.world.disk(name);
        await disk.remove(`storage/replicas/${replica}`);
        await disk.syncDirectory('storage/replicas');
      });
    }
    this.restart(name);
  }

  /** A bit is wrong somewhere in the records of a storage node. */
  async damaged(name: string): Promise<void> {
    const random = this.world.random.stream('damage');
    const disk = this.world.disk(name);
    this.crash(name);
    const files = disk.files().filter(({ path }) => /^storage\/replicas\/.*records/.test(path));
    const file = files[random.below(files.length)]!;
    disk.flipBit(file.path, random.below(Math.max(1, Math.min(file.size, 20_000))));
    this.restart(name);
  }

  /** Two storage nodes have each other's folders. */
  async swapped(name: string): Promise<void> {
    await this.swapWith(name, OWN[(OWN.indexOf(name) + 1) % OWN.length]!, 'IDENTITY_MISMATCH');
  }

  /** A storage node has the folder of its namesake in the other cluster, and the other way round. */
  async swappedClusters(): Promise<void> {
    await this.swapWith('n1', OTHER, 'CLUSTER_MISMATCH');
  }

  /** The metadata repository is made anew at the same addresses, under the same numbers. */
  async remade(): Promise<void> {
    for (const name of OWN) this.crash(name);
    const before = new Map<string, string[]>();
    for (const name of OWN) {
      before.set(name, await this.replicasOf(name));
      await this.files(() => moveFolder(this.world.disk(name), 'metadata', 'metadata-of-before'));
    }
    for (const name of OWN) this.restart(name);
    await this.world.run(5_000);
    for (const name of OWN) this.expectRefusal(name, 'CLUSTER_MISMATCH');
    for (const name of OWN) this.crash(name);
    for (const name of OWN) {
      await this.expectKept(name, before.get(name)!);
      await this.files(async () => {
        const disk = this.world.disk(name);
        await disk.remove('metadata');
        await moveFolder(disk, 'metadata-of-before', 'metadata');
      });
    }
    for (const name of OWN) this.restart(name);
  }

  /** A second process believes to be the same storage node, with a copy of its folder. */
  async twin(name: string): Promise<void> {
    const { world } = this;
    const { id } = this.roles.get(name)!;
    const twin = `t${++this.twins}`;
    const first = world.random.stream(twin).below(2) === 0;
    this.crash(name);
    const original = world.disk(name);
    this.prepare(twin, { id, members: OWN, withMetadata: false });
    await this.files(() => copyFolder(original, 'storage', world.disk(twin), 'storage'));
    // Whoever is there first is the node; the other one waits.
    if (first) this.restart(twin);
    else this.restart(name);
    await world.run(2_000);
    this.restart(name);
    this.restart(twin);
    await world.run(2_500);
    const connected = [name, twin].filter((it) => this.node(it)?.storage?.status.connected);
    must(connected.length === 1, `connected as storage node ${id}: ${connected}`);
    this.expectRefusal(connected[0] === name ? twin : name, 'ALREADY_EXISTS');
    this.crash(twin);
  }

  private async swapWith(name: string, other: string, code: string): Promise<void> {
    const swap = () =>
      this.files(async () => {
        const [a, b] = [this.world.disk(name), this.world.disk(other)];
        await copyFolder(a, 'storage', b, 'swapped');
        await a.remove('storage');
        await copyFolder(b, 'storage', a, 'storage');
        await b.remove('storage');
        await moveFolder(b, 'swapped', 'storage');
      });
    for (const it of [name, other]) this.crash(it);
    await swap();
    for (const it of [name, other]) this.restart(it);
    await this.world.run(2_500);
    for (const it of [name, other]) this.expectRefusal(it, code);
    for (const it of [name, other]) this.crash(it);
    await swap();
    for (const it of [name, other]) this.restart(it);
  }

  private add(name: string, role: Omit<Role, 'withMetadata'>): void {
    this.prepare(name, { ...role, withMetadata: true });
    this.world.restart(name);
  }

  /** A machine with a role, which does not run yet. */
  private prepare(name: string, role: Role): void {
    this.roles.set(name, role);
    this.world.node(name, (ports) => this.start(ports, name));
    if (role.withMetadata) return;
    this.world.crash(name);
  }

  private async start(given: Ports, name: string): Promise<RunningNode> {
    const { id, members, withMetadata } = this.roles.get(name)!;
    const roles = new NodeRoles({
      ports: this.mutate(given),
      clusterId: 1,
      nodeId: id,
      address: addressOf(name),
      members: members.map((it, i) => ({ id: i + 1, address: addressOf(it) })),
    });
    let refusal: VarlogError | undefined;
    try {
      const replicationFactor = members.length;
      if (withMetadata) await roles.startMetadata({ directory: 'metadata', replicationFactor });
      await roles.startStorage({ directory: 'storage' });
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      refusal = error;
    }
    // What was not refused is served all the same.
    const { repository, storageNode: storage } = roles;
    if (repository !== undefined || storage !== undefined) await roles.serve();
    return { repository, storage, refusal, close: () => roles.close() };
  }

  private crash(name: string): void {
    this.world.crash(name, { powerLoss: this.world.random.stream('crashes').below(2) === 0 });
  }

  private restart(name: string, change: Partial<Role> = {}): void {
    if (Object.keys(change).length > 0) this.world.crash(name);
    Object.assign(this.roles.get(name)!, change);
    this.world.restart(name);
  }

  private node(name: string): RunningNode | undefined {
    return this.world.process(name) as RunningNode | undefined;
  }

  private expectRefusal(name: string, code: string, next = ''): void {
    const node = this.node(name);
    const reasons = this.reasons(name);
    const refusal = reasons.find((it) => it.startsWith(`${code}: `));
    must(refusal !== undefined, `${name} is not refused with ${code}: ${reasons.join(' | ')}`);
    must(
      refusal!.includes('; ') && refusal!.includes(next),
      `it is not said what to do: ${refusal}`,
    );
    must(node?.storage?.status.connected !== true, `${name} was refused, and has a session`);
  }

  /** What keeps a node from serving. */
  private reasons(name: string): string[] {
    const node = this.node(name);
    return [node?.refusal?.message ?? '', ...(node?.storage?.notReady() ?? [])];
  }

  private replicasOf(name: string): Promise<string[]> {
    return this.files(() => this.world.disk(name).list('storage/replicas'));
  }

  private async expectKept(name: string, before: readonly string[]): Promise<void> {
    const kept = await this.replicasOf(name);
    must(String(kept) === String(before), `${name} held ${before} and has ${kept} left`);
  }

  private files<T>(work: () => Promise<T>): Promise<T> {
    return this.world.play(work, 60_000);
  }

  private async operate(work: (varlog: Varlog) => Promise<unknown>): Promise<void> {
    const { world } = this;
    await world.play(async () => {
      const varlog = await Varlog.connect({
        endpoints: OWN.map(addressOf),
        timeoutMs: 60_000,
        ports: world.ports('operator'),
      });
      await work(varlog);
      await varlog.close();
    }, 120_000);
  }

  /** Waits until every log stream of the cluster is open on all of its nodes. */
  private async whole(step: string): Promise<void> {
    const isWhole = (): boolean =>
      OWN.some((name) => {
        const repository = this.node(name)?.repository;
        if (repository?.orderer === undefined) return false;
        const { storageNodes } = repository.metadata;
        const isSelf = (own: string, i: number): boolean =>
          storageNodes.get(i + 1)?.address === addressOf(own) &&
          repository.orderer?.isUp(i + 1) === true;
        if (!OWN.every(isSelf)) return false;
        return [...repository.metadata.logStreams.values()].every(
          (it) => !it.sealed && it.members.length === OWN.length,
        );
      });
    await this.world.until(isWhole, WHOLE_WITHIN_MS).catch((error: unknown) => {
      throw new Error(`not whole again after ${step}: ${this.health()}`, { cause: error });
    });
  }

  /** What the leader knows of the replicas, for people. */
  private health(): string {
    const leader = OWN.map((it) => this.node(it)?.repository).find((it) => it?.orderer);
    if (leader === undefined) return 'there is no leader';
    const { logStreams } = describeHealth(leader.metadata, leader.orderer!);
    const reasons = OWN.flatMap((name) => this.reasons(name).map((it) => `${name}: ${it}`));
    const streams = logStreams.map(({ logStreamId, sealed, epoch, end, replicas }) => {
      const each = replicas.map((it) => `${it.storageNodeId} ${it.state} ${it.end}`);
      return `${logStreamId} ${sealed ? 'sealed' : 'open'} in ${epoch} at ${end}: ${each.join(', ')}`;
    });
    return [...streams, ...reasons].join('; ');
  }
}

const STEPS_BY_NAME = [
  'wrongMembers',
  'emptied',
  'emptiedReplicas',
  'damaged',
  'rolledBack',
  'swapped',
  'swappedClusters',
  'remade',
  'twin',
] as const;

async function makeOtherTopic(ports: Ports): Promise<void> {
  const varlog = await connectToOther(ports);
  await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });
  const topic = await varlog.createTopic();
  for (let i = 1; i <= 20; i++) await topic.append(`other ${i}`);
  await varlog.close();
}

/** The other cluster has what it had: nothing of the first one came to it. */
async function checkOtherLog(ports: Ports): Promise<void> {
  const varlog = await connectToOther(ports);
  await sleep(ports.clock, 1_000);
  let count = 0;
  for await (const it of varlog.topic(1).read()) {
    must(it.text() === `other ${++count}`, `"${it.text()}" is at ${it.glsn} of the other cluster`);
  }
  must(count === 20, `the other cluster has ${count} records left`);
  await varlog.close();
}

function connectToOther(ports: Ports): Promise<Varlog> {
  return Varlog.connect({ endpoints: addressOf(OTHER), timeoutMs: 60_000, ports });
}
