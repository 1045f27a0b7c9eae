import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { type RaftGroup, RaftHost } from '../../framework/raft/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const PORT = 7001;
const CALL_MS = 2_000;
/** One that is destroyed, and one beside it in the same journals. */
const GONE = 'gone';
const STAYS = 'stays';
const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

interface Host extends Process {
  readonly host: RaftHost;
  readonly groups: ReadonlyMap<string, RaftGroup>;
}

/**
 * Hosts of two Raft groups through a few seconds of faults, in which an operator destroys the members of one group, host
 * by host, and asks again where the answer was lost; also by a wrong identity, which changes nothing. A member that was
 * destroyed never runs again, whatever crashes and whoever calls it, and leaves no files; one that nobody ordered to be
 * destroyed is not; the other group keeps all that was acknowledged.
 */
export async function destroyScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new DestroyRun(world).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class DestroyRun {
  private readonly world: World;
  /** Hosts whose member was ordered to be destroyed, and those that said it is. */
  private readonly ordered = new Set<string>();
  private readonly destroyed = new Set<string>();
  private readonly acknowledged: string[] = [];
  private identity = '';
  private violation: string | undefined;

  constructor(world: World) {
    this.world = world;
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => this.start(ports, name));
    await world.started();
    await world.play(async () => {
      const group = this.find(NODES[0]!)!.groups.get(GONE)!;
      await group.append([Uint8Array.of(1)], { timeoutMs: 30_000 });
      this.identity = await group.identity();
    });
    let over = false;
    const client = this.append(() => over);
    const operator = this.operate(() => over);
    await withFaults(world, NODES);
    over = true;
    await world.play(() => Promise.all([client, operator]), 60_000);
    for (const name of NODES) {
      world.crash(name);
      world.restart(name);
    }
    await world.started();
    this.check();
    await world.play(() => this.end(), 120_000);
    await world.run(1_000);
    this.check();
    for (const name of NODES) {
      const paths = world
        .disk(name)
        .files()
        .map((it) => it.path);
      const left = paths.filter((it) => it.startsWith(`raft/groups/${GONE}/`));
      must(left.length === 0, `${name} still has ${left.join(', ')}`);
    }
  }

  private async start(ports: Ports, name: string): Promise<Host> {
    const host = await RaftHost.open({ ports, address: `${name}:${PORT}`, directory: 'raft' });
    const groups = new Map<string, RaftGroup>();
    for (const groupId of [GONE, STAYS]) {
      const options = { groupId, memberId: NODES.indexOf(name) + 1, members };
      const group = await host.openGroup(options).catch((error: unknown) => {
        if (!VarlogError.is(error, 'GROUP_DESTROYED')) throw error;
        if (!this.ordered.has(name)) this.violation ??= `${name} destroyed what nobody ordered`;
      });
      if (group === undefined) continue;
      groups.set(groupId, group);
      if (groupId === GONE && this.destroyed.has(name))
        this.violation ??= `${name} runs a member that was destroyed`;
    }
    return { host, groups, close: () => host.close() };
  }

  /** Appends to the group that stays. */
  private async append(over: () => boolean): Promise<void> {
    const { clock, random } = this.world.ports('client');
    for (let i = 0; !over(); i++) {
      await sleep(clock, 20 + random.below(60));
      const group = this.find(NODES[random.below(NODES.length)]!)?.groups.get(STAYS);
      const text = `entry ${i}`;
      const call = group?.append([new TextEncoder().encode(text)], { timeoutMs: CALL_MS });
      await this.answered(call, () => this.acknowledged.push(text));
    }
  }

  private async operate(over: () => boolean): Promise<void> {
    const { clock, random } = this.world.ports('operator');
    while (!over()) {
      await sleep(clock, 300 + random.below(1_500));
      const name = NODES[random.below(NODES.length)]!;
      const host = this.find(name)?.host;
      if (host === undefined) continue;
      if (random.below(3) === 0) {
        const wrong = host.destroyGroup({ groupId: GONE, identity: 'of another group' });
        await this.answered(wrong, () => {
          this.violation ??= `${name} destroys a group of another identity`;
        });
      } else await this.destroy(name, host);
    }
  }

  private async destroy(name: string, host: RaftHost): Promise<void> {
    this.ordered.add(name);
    const done = host.destroyGroup({ groupId: GONE, identity: this.identity });
    await this.answered(done, () => this.destroyed.add(name));
  }

  /** Waits for a call; of a process that crashed nothing is heard. */
  private async answered(call: Promise<unknown> | undefined, done: () => void): Promise<void> {
    if (call === undefined) return;
    const { clock } = this.world.ports('watch');
    const settled = call.then(done, (error: unknown) => {
      must(VarlogError.is(error), `it failed with ${String(error)}`);
    });
    await Promise.race([settled, sleep(clock, CALL_MS + 500)]);
  }

  /** All of them are destroyed at last; the other group has what was acknowledged, at each member in the same order. */
  private async end(): Promise<void> {
    const logs = new Set<string>();
    for (const name of NODES) {
      const { host, groups } = this.find(name)!;
      await this.destroy(name, host);
      must(this.destroyed.has(name), `${name} does not destroy its member`);
      must(host.destroyed[0]?.identity === this.identity, `${name} does not say so`);
      const group = groups.get(STAYS)!;
      const tail = await group.tail({ timeoutMs: 30_000 });
      const found: string[] = [];
      for await (const next of group.follow(1)) {
        // Nothing compacts the log.
        if (next.kind !== 'entries') continue;
        found.push(...next.entries.map(({ command }) => new TextDecoder().decode(command)));
        if (next.through >= tail) break;
      }
      const lost = this.acknowledged.filter((it) => !found.includes(it));
      must(lost.length === 0, `${name} lost ${lost.join(', ')}`);
      logs.add(found.join());
    }
    must(logs.size === 1, 'the members differ');
  }

  private check(): void {
    must(this.violation === undefined, `${this.violation}`);
  }

  private find(name: string): Host | undefined {
    return this.world.isRunning(name) ? (this.world.process(name) as Host | undefined) : undefined;
  }
}
