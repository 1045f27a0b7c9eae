import { type Clock, sleep, VarlogError } from '../../framework/base/index.ts';
import { DiskSnapshotStore } from '../../framework/smr/disk-snapshot-store.ts';
import {
  type Replica,
  type ReplicaStatus,
  type SpeculationEvent,
  startReplica,
} from '../../framework/smr/index.ts';
import {
  type MemoryLink,
  MemoryLog,
  type RunReport,
  type SeededRandom,
  World,
} from '../../framework/testing/index.ts';
import { must } from './memory.ts';
import {
  ACCOUNTS,
  Accounts,
  type AccountsCommand,
  type AccountsResult,
  type AccountsState,
  expected,
} from './speculation-machine.ts';

const NAMES = ['n1', 'n2', 'n3'];
const ROUNDS = 150;
const FAULTS = ['refused', 'unknownApplied', 'unknownLate', 'unknownLost'] as const;
/** What a command may fail with, wherever it was handed in. */
const FAILURES = new Set(['TIMEOUT', 'SESSION_EXPIRED', 'CLOSED']);

type AccountsReplica = Replica<AccountsCommand, AccountsResult, Accounts>;
type Event = SpeculationEvent<AccountsCommand, AccountsResult>;

export interface SpeculationReport extends RunReport {
  readonly confirmed: number;
  readonly rolledBack: number;
  readonly failed: number;
}

/**
 * Three replicas that speculate on the same few accounts, over links that are slow, are cut and lose what is sent, with
 * restarts from snapshots, snapshots of the log, sessions that are closed, timers and new rules in between, so that most
 * tentative answers are wrong. Beside them is one that never speculates. Each tentative answer is what it is to be; each
 * speculation ends once, confirmed only where its answer was right; nothing that was tentative is ever in the state, and in
 * the end that is what a plain replay of the log comes to.
 */
export async function speculationScenario(seed: number): Promise<SpeculationReport> {
  const world = new World(seed);
  try {
    const run = new SpeculationRun(world);
    await world.play(() => run.play(), 3_600_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs, ...run.counts };
  } finally {
    world.close();
  }
}

/** What all of them know of the log: whoever comes first says it, and the others must find the same. */
class Truth {
  private readonly states = new Map<string, string>();
  private readonly results = new Map<number, string>();
  /** What was found wrong in callbacks, where nobody would hear of what is thrown. */
  readonly problems: string[] = [];

  applied(replica: AccountsReplica, who: string): void {
    replica.applied$.subscribe({
      next: ({ position, index, command, result }) => {
        const place = `${position}:${index}`;
        this.agree(this.states, place, stateOf(replica), `${who} is in another state at ${place}`);
        this.answered(command.n, result, who);
      },
      error: () => {},
    });
  }

  answered(n: number, result: AccountsResult, who: string): void {
    this.agree(this.results, n, JSON.stringify(result), `${who} answers ${n} differently`);
  }

  check(): void {
    must(this.problems.length === 0, this.problems.slice(0, 3).join('; '));
  }

  private agree<K>(known: Map<K, string>, key: K, found: string, problem: string): void {
    const first = known.get(key) ?? found;
    known.set(key, first);
    if (first !== found) this.problems.push(`${problem}: ${found}, not ${first}`);
  }
}

function stateOf({ machine }: AccountsReplica): string {
  return JSON.stringify(machine.snapshot());
}

/** A process that speculates, through its restarts. */
class Speculating {
  readonly name: string;
  readonly link: MemoryLink;
  replica: AccountsReplica | undefined;
  /** Its own commands that are under way, in the order in which they were handed in. */
  underWay: AccountsCommand[] = [];
  status: ReplicaStatus | undefined;

  constructor(name: string, link: MemoryLink) {
    this.name = name;
    this.link = link;
  }

  done(n: number): void {
    const at = this.underWay.findIndex((it) => it.n === n);
    if (at >= 0) this.underWay.splice(at, 1);
  }
}

class SpeculationRun {
  readonly counts = { confirmed: 0, rolledBack: 0, failed: 0 };
  private readonly world: World;
  private readonly clock: Clock;
  private readonly random: SeededRandom;
  private readonly log: MemoryLog;
  private readonly truth = new Truth();
  private readonly nodes: Speculating[];
  private readonly climate: {
    readonly latencyMs: number;
    readonly keepsAll: boolean;
    readonly sessionsMax: number;
    readonly othersShare: number;
  };
  private readonly calls: Promise<void>[] = [];
  /** By number of a command: its tentative answer. */
  private readonly open = new Map<number, string>();
  private last = 0;

  constructor(world: World) {
    this.world = world;
    this.random = world.random.stream('scenario');
    this.clock = world.ports('scenario').clock;
    const { clock, random } = this;
    this.log = new MemoryLog({ clock });
    this.nodes = NAMES.map((it) => new Speculating(it, this.log.link({ clock, random })));
    this.climate = {
      latencyMs: random.pick([0, 2, 10]),
      // Otherwise the log keeps the snapshot of one of them, and no entries before it.
      keepsAll: random.chance(0.7),
      sessionsMax: random.pick([2, 3, 100]),
      // Where mostly one of them speculates, forks live long.
      othersShare: random.chance(0.2) ? 0.1 : 1,
    };
  }

  async play(): Promise<void> {
    const { random } = this;
    const { othersShare } = this.climate;
    const plain = await this.startPlain();
    for (const it of this.nodes) await this.start(it);
    for (let round = 0; round < ROUNDS; round++) {
      for (const it of this.nodes)
        if (it === this.nodes[0] || random.chance(othersShare)) await this.act(it);
      if (random.chance(0.7)) await sleep(this.clock, random.below(8));
      if (round === ROUNDS / 3) this.upgrade(random.pick(this.nodes));
      this.truth.check();
    }
    await this.end(plain);
    this.truth.check();
  }

  private options(ports: Parameters<typeof startReplica>[0]['ports']) {
    const { sessionsMax } = this.climate;
    const sessions = { sessionsMax, idleMs: 3_600_000 };
    return { machine: new Accounts(), sessions, ports: ports! };
  }

  /** One that speculates never, and is told everything at once. */
  private async startPlain(): Promise<AccountsReplica> {
    const plain = await startReplica({
      ...this.options(this.world.ports('plain')),
      log: this.log,
      readOnly: true,
    });
    this.truth.applied(plain, 'the plain one');
    return plain;
  }

  private async start(node: Speculating): Promise<void> {
    const { random, climate } = this;
    const ports = this.world.ports(node.name);
    const { link } = node;
    link.latencyMs = climate.latencyMs;
    link.mend();
    const replica = await startReplica({
      ...this.options(ports),
      log: link.asOrderedLog(),
      snapshotEvery: random.pick([20, 100, 1_000]),
      ...(climate.keepsAll && { snapshots: new DiskSnapshotStore(ports.disk) }),
    });
    node.replica = replica;
    node.underWay = [];
    this.truth.applied(replica, node.name);
    replica.applied$.subscribe({ next: ({ command }) => node.done(command.n), error: () => {} });
    replica.speculations$.subscribe((it) => this.ended(it));
    replica.status$.subscribe((it) => {
      node.status = it;
      if (it.state === 'failed')
        this.truth.problems.push(`${node.name} failed: ${String(it.error)}`);
    });
  }

  /** Does something at one of them, mostly several commands at once. */
  private async act(node: Speculating): Promise<void> {
    const { random } = this;
    const { link } = node;
    if (random.chance(0.05)) link.failNext(random.pick([...FAULTS]));
    if (random.chance(0.01)) link.cut();
    else if (random.chance(0.3)) link.mend();
    if (random.chance(0.004)) {
      await node.replica!.close();
      await this.start(node);
    }
    const count = random.below(5);
    for (let i = 0; i < count; i++) {
      const command = this.draw();
      if (random.chance(0.85)) await this.speculate(node, command);
      else this.execute(node, command);
    }
  }

  private draw(): AccountsCommand {
    const { random } = this;
    const n = ++this.last;
    const kind = random.below(40);
    if (kind === 0) return { n, op: 'later', ms: 1 + random.below(200), to: 'a' };
    if (kind === 1) return { n, op: 'cancel', timer: 1 + random.below(20) };
    if (kind < 5) return { n, op: 'stamp' };
    if (kind < 10) return { n, op: 'stamped' };
    const from = random.pick(ACCOUNTS);
    return { n, op: 'move', from, to: random.pick(ACCOUNTS), amount: random.below(9) };
  }

  private limits(): { timeoutMs: number } {
    const { random } = this;
    return { timeoutMs: random.chance(0.03) ? 1 + random.below(20) : 600_000 };
  }

  private async speculate(node: Speculating, command: AccountsCommand): Promise<void> {
    const { n } = command;
    const replica = node.replica!;
    const before = stateOf(replica);
    const rules = node.status!.rules;
    const wanted = expected(
      JSON.parse(before) as AccountsState,
      [...node.underWay, command],
      rules,
    );
    const calling = replica.speculate(command, this.limits());
    must(stateOf(replica) === before, `the state has what ${n} came to tentatively`);
    node.underWay.push(command);
    try {
      const { tentative, settled } = await calling;
      this.open.set(n, JSON.stringify(tentative));
      if (wanted !== undefined) {
        const [found, due] = [JSON.stringify(tentative), JSON.stringify(wanted)];
        must(found === due, `the tentative answer to ${n} is ${found}, and is to be ${due}`);
      }
      this.calls.push(this.settled(node, n, settled));
    } catch (error) {
      node.done(n);
      // The state is being replaced.
      if (!VarlogError.is(error, 'UNAVAILABLE')) throw error;
    }
  }

  private execute(node: Speculating, command: AccountsCommand): void {
    const call = node.replica!.execute(command, this.limits());
    node.underWay.push(command);
    this.calls.push(this.settled(node, command.n, call));
  }

  private async settled(node: Speculating, n: number, call: Promise<unknown>): Promise<void> {
    try {
      await call;
    } catch (error) {
      if (!(VarlogError.is(error) && FAILURES.has(error.code)))
        this.truth.problems.push(String(error));
    }
    node.done(n);
  }

  private ended(event: Event): void {
    const { n } = event.command;
    const tentative = JSON.stringify(event.tentative);
    this.counts[event.kind]++;
    if (this.open.get(n) !== tentative)
      this.truth.problems.push(`${n} ends twice, or with another answer`);
    this.open.delete(n);
    if (event.kind === 'failed') return;
    const result = JSON.stringify(event.result);
    const isRight = tentative === result;
    if (isRight !== (event.kind === 'confirmed'))
      this.truth.problems.push(`${n} is ${event.kind}: ${tentative} tentatively, then ${result}`);
    this.truth.answered(n, event.result, 'the end of the speculation');
  }

  private upgrade({ replica }: Speculating): void {
    const raised = replica!.upgradeTo(2, { timeoutMs: 600_000 }).then(
      () => {},
      (error: unknown) => must(VarlogError.is(error, 'CLOSED'), String(error)),
    );
    this.calls.push(raised);
  }

  /** All is well again: everything ends, and all of them, and one that replays the log, are in one state. */
  private async end(plain: AccountsReplica): Promise<void> {
    for (const { link } of this.nodes) {
      link.latencyMs = 0;
      link.mend();
    }
    await Promise.all(this.calls);
    must(this.open.size === 0, `${this.open.size} speculations never ended`);
    const replay = await startReplica({
      ...this.options(this.world.ports('replay')),
      log: this.log,
      readOnly: true,
    });
    this.truth.applied(replay, 'a plain replay');
    const replicas = [plain, replay, ...this.nodes.map((it) => it.replica!)];
    for (const it of replicas) await it.caughtUp({ timeoutMs: 600_000 });
    const states = replicas.map(stateOf);
    must(new Set(states).size === 1, `the states differ at the end: ${[...new Set(states)]}`);
    for (const it of replicas) await it.close();
  }
}
