import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { RaftGroup } from '../../framework/raft/index.ts';
import { type Replica, type ReplicaStatus, startReplica } from '../../framework/smr/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';
import { type ShadowSight, Shadows } from './shadows.ts';
import { type Command, Counter } from './versioned-counter.ts';

const NODES = ['n1', 'n2', 'n3'];
const PORT = 7001;
const NEWEST = 4;
const CALL_MS = 2_000;
const QUIET_MS = 2 * 60_000;
const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

interface Member extends Process {
  readonly code: number;
  readonly group: RaftGroup;
  readonly replica: Replica<Command, string, Counter>;
  readonly shadows: Shadows;
}

/** What came up, of what must come up now and then. */
export type Sights = Set<
  | 'an entry applied by code of two versions'
  | 'a timer due under newer rules than it was set'
  | 'rules raised before all had new code'
  | 'a snapshot of another member installed'
  | ShadowSight
>;

/**
 * Three replicas on a Raft group whose code is upgraded one after the other, three times, while members crash, lose power, are
 * cut off and paused, with snapshots, commands and timers all the time. The rules are raised when all have the new code,
 * or too early, at which old code stops until it is upgraded. No two replicas ever answer differently, nor one after a
 * restart; what a client was told is what all of them answer; at the end all go on, in one state, with no timer left.
 *
 * Beside each replica runs a shadow of the same code, which never finds a difference, and one whose new version errs at some
 * commands: it finds that at the first of them that it applies, and names its position.
 */
export async function machineUpgradesScenario(seed: number, sights?: Sights): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new UpgradesRun(world, sights).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class UpgradesRun {
  private readonly world: World;
  private readonly sights: Sights | undefined;
  private readonly codes = new Map(NODES.map((name) => [name, 1]));
  /** What the first replica that applied a command answered, and by which code, by position and index. */
  private readonly answers = new Map<string, { result: string; code: number }>();
  /** The same by the command, as far as it was no timer's. */
  private readonly byCommand = new Map<number, string>();
  private readonly told = new Map<number, string>();
  private readonly setUnder = new Map<number, string>();
  private readonly snapshotEvery: number;
  private readonly checkEvery: number;
  private violation: string | undefined;
  private over = false;

  constructor(world: World, sights: Sights | undefined) {
    this.world = world;
    this.sights = sights;
    const random = world.random.stream('climate');
    this.snapshotEvery = random.pick([2, 5, 30]);
    this.checkEvery = random.pick([3, 10]);
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => this.start(ports, name));
    await world.started();
    const clients = NODES.map((_, i) => this.ask(i));
    const operator = this.upgrade();
    await withFaults(world, NODES);
    this.over = true;
    await world.play(() => Promise.all([...clients, operator]), 60_000);
    this.check();
    // Who was about to be killed was.
    await world.run(2_000);
    for (const name of NODES) this.startAt(name, NEWEST);
    await world.started();
    await world.play(() => this.end(), 3 * QUIET_MS);
    this.check();
  }

  private async start(ports: Ports, name: string): Promise<Member> {
    const server = await ports.network.serve(`${name}:${PORT}`, []);
    const group = await RaftGroup.open({
      groupId: 'counter',
      memberId: NODES.indexOf(name) + 1,
      members,
      ports,
      directory: 'raft',
      retain: { entries: 2 },
    });
    server.add(group.handlers);
    const code = this.codes.get(name)!;
    const { snapshotEvery, checkEvery } = this;
    const options = { machine: new Counter(code), log: group, ports, snapshotEvery, checkEvery };
    const replica = await startReplica(options);
    replica.applied$.subscribe({
      next: ({ position, index, command, result }) => {
        this.applied(name, code, `${position}:${index}`, result);
        if (command.id > 0) this.note(command, result);
        const before = this.setUnder.get(-command.id);
        if (before !== undefined && before !== rulesIn(result))
          this.sights?.add('a timer due under newer rules than it was set');
      },
      error: () => {},
    });
    const violated = (what: string): void => {
      this.violation ??= `at ${name} ${what}`;
    };
    const saw = (sight: ShadowSight): void => void this.sights?.add(sight);
    const shadows = new Shadows({ log: group, code, ports, violated, saw });
    const close = async (): Promise<void> => {
      await shadows.close();
      await replica.close();
      await group.close();
      await server.close();
    };
    return { code, group, replica, shadows, close };
  }

  private applied(name: string, code: number, place: string, result: string): void {
    const first = this.answers.get(place) ?? { result, code };
    this.answers.set(place, first);
    if (first.code !== code) this.sights?.add('an entry applied by code of two versions');
    // Thrown here it would be out of sight.
    if (first.result !== result)
      this.violation ??= `${name} answers "${result}" at ${place} and another "${first.result}"`;
  }

  private note(command: Command, result: string): void {
    this.byCommand.set(command.id, result);
    if (command.op === 'later') this.setUnder.set(command.id, rulesIn(result));
  }

  /** Commands at any replica, of which some set timers. */
  private async ask(client: number): Promise<void> {
    const { clock, random } = this.world.ports(`client ${client}`);
    for (let i = 0; !this.over; i++) {
      await sleep(clock, 20 + random.below(200));
      const id = 1 + client + NODES.length * i;
      const isTimer = random.below(3) === 0;
      const later = { op: 'later', id, ms: 1 + random.below(1_500), again: i % 2 === 0 } as const;
      const command: Command = isTimer ? later : { op: 'add', id };
      const replica = this.find(NODES[random.below(NODES.length)]!)?.replica;
      await this.answered(replica?.execute(command, { timeoutMs: CALL_MS }), (result) =>
        this.told.set(id, result),
      );
    }
  }

  /** New code on one after the other, and then its rules, or now and then before. */
  private async upgrade(): Promise<void> {
    const { clock, random } = this.world.ports('operator');
    for (let code = 2; code <= NEWEST && !this.over; code++) {
      const order = [...NODES].sort(() => random.below(2) - 0.5);
      const early = random.below(3) === 0 ? 1 + random.below(NODES.length - 1) : NODES.length;
      for (const [i, name] of order.entries()) {
        await sleep(clock, 200 + random.below(700));
        if (this.over) return;
        this.startAt(name, code);
        if (i + 1 >= early) await this.raise(code);
      }
    }
  }

  private async raise(to: number): Promise<void> {
    const able = NODES.filter((name) => this.find(name)?.code === to);
    if (able.length < NODES.length) this.sights?.add('rules raised before all had new code');
    const replica = able[0] === undefined ? undefined : this.find(able[0])?.replica;
    await this.answered(replica?.upgradeTo(to, { timeoutMs: CALL_MS }), () => {});
  }

  /** Waits for a call; a process that crashed answers nothing any more. */
  private async answered<T>(
    call: Promise<T> | undefined,
    told: (answer: T) => void,
  ): Promise<void> {
    const { clock } = this.world.ports('watch');
    const settled = call?.then(told, (error: unknown) => {
      if (!VarlogError.is(error)) this.violation ??= `a call failed with ${String(error)}`;
    });
    await Promise.race([settled, sleep(clock, CALL_MS + 200)]);
  }

  private startAt(name: string, code: number): void {
    this.look(name);
    this.world.crash(name);
    this.codes.set(name, code);
    this.world.restart(name);
  }

  private async end(): Promise<void> {
    const { clock } = this.world.ports('check');
    const replicas = NODES.map((name) => this.find(name)!.replica);
    await replicas[0]!.upgradeTo(NEWEST, { timeoutMs: 30_000 });
    const until = clock.now() + QUIET_MS;
    const wait = { timeoutMs: 30_000 };
    for (const it of replicas) await it.caughtUp(wait);
    while (replicas.some((it) => it.machine.pending > 0) && clock.now() < until)
      await sleep(clock, 500);
    await replicas[1]!.execute({ op: 'add', id: 0 }, wait);
    for (const name of NODES) await this.find(name)!.shadows.end();
    const states = replicas.map((it) =>
      it.query(({ value, pending }) => `${value} ${pending}`, wait),
    );
    const found = new Set(await Promise.all(states));
    must(found.size === 1, `the states differ at the end: ${[...found].join(' | ')}`);
    must(replicas[0]!.machine.pending === 0, 'timers never rang');
  }

  /** Only what has old code may stop, and only because it is old. */
  private check(): void {
    for (const name of NODES) this.look(name);
    must(this.violation === undefined, `${this.violation}`);
    for (const [id, result] of this.told) {
      const applied = this.byCommand.get(id) ?? result;
      must(applied === result, `a client was told "${result}", and replicas answer "${applied}"`);
    }
  }

  private look(name: string): void {
    const member = this.find(name);
    if (member === undefined) return;
    if (member.group.metrics.snapshotsInstalled > 0)
      this.sights?.add('a snapshot of another member installed');
    let status: ReplicaStatus | undefined;
    member.replica.status$.subscribe((it) => {
      status = it;
    });
    const { state, error, rules = 1 } = status ?? {};
    if (rules > member.code) this.violation ??= `${name} goes by rules ${rules}`;
    if (state === 'failed' && !/rules \d are in force/.test(String(error)))
      this.violation ??= `${name} failed: ${String(error)}`;
    if (state === 'failed' && member.code === NEWEST)
      this.violation ??= `${name} failed with the newest code: ${String(error)}`;
  }

  private find(name: string): Member | undefined {
    return this.world.isRunning(name)
      ? (this.world.process(name) as Member | undefined)
      : undefined;
  }
}

function rulesIn(result: string): string {
  return /by (\d+)/.exec(result)![1]!;
}
