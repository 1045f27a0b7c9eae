import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { RaftGroup } from '../../framework/raft/index.ts';
import {
  type ApplyContext,
  type Replica,
  type ReplicaCodecs,
  type ReplicaStatus,
  type StateMachine,
  startReplica,
  versionedJson,
} from '../../framework/smr/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const PORT = 7001;
const OLD = 1;
const NEW = 2;
const STEPS = 10;
const CALL_MS = 3_000;
const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

/** As the old code has a command, and the new code. */
type Add = number | { add: number };
type Sum = number | { value: number };

/** Adds up; by the new rules it adds everything twice. Commands and state have another shape in the new code. */
class Tally implements StateMachine<Add, number, Sum> {
  value = 0;
  readonly rules: number;
  constructor(code: number) {
    this.rules = code;
  }
  apply(command: Add, { rules }: ApplyContext): number {
    const add = this.rules >= NEW ? (command as { add: number }).add : (command as number);
    this.value += rules >= NEW ? 2 * add : add;
    return this.value;
  }
  snapshot(): Sum {
    return this.rules >= NEW ? { value: this.value } : this.value;
  }
  restore(sum: Sum): void {
    this.value = this.rules >= NEW ? (sum as { value: number }).value : (sum as number);
  }
}

const OLD_CODEC = {
  command: versionedJson<[number]>({ upcast: {} }),
  snapshot: versionedJson<[number]>({ upcast: {} }),
};
export const NEW_CODEC = {
  command: versionedJson<[number, { add: number }]>({
    upcast: { 1: (add) => ({ add }) },
    downcast: { 1: { before: NEW, of: ({ add }) => add } },
  }),
  snapshot: versionedJson<[number, { value: number }]>({
    upcast: { 1: (value) => ({ value }) },
    downcast: { 1: { before: NEW, of: ({ value }) => value } },
  }),
};

interface Member extends Process {
  readonly replica: Replica<Add, number, Tally>;
}

/**
 * Three replicas on a Raft group whose code is upgraded one after the other, with crashes in between, and whose rules are
 * raised when an operator likes, also too early. Whatever two replicas make of an entry is the same; none of old code
 * applies anything by the new rules, nor stops for anything else; once all have new code they all go on, by the new rules, in the same state.
 */
export async function rulesScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new RulesRun(world).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class RulesRun {
  private readonly world: World;
  private readonly codes = new Map(NODES.map((name) => [name, OLD]));
  /** What the first replica that applied an entry answered. */
  private readonly answers = new Map<number, number>();
  private violation: string | undefined;
  private readonly snapshotEvery: number;
  private readonly checkEvery: number;

  constructor(world: World) {
    this.world = world;
    const random = world.random.stream('climate');
    this.snapshotEvery = random.pick([2, 5, 1_000]);
    this.checkEvery = random.pick([2, 7]);
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => this.start(ports, name));
    await world.started();
    const random = world.random.stream('steps');
    for (let i = 0; i < STEPS; i++) {
      const name = random.pick(NODES);
      const kind = random.below(4);
      if (kind === 0) this.startAt(name, NEW);
      else if (kind === 1) {
        world.crash(name, { powerLoss: random.below(2) === 0 });
        world.after(random.below(500), () => world.restart(name));
      } else if (kind === 2) await this.raise(name);
      await this.execute(random.pick(NODES), 1 + random.below(9));
      await world.run(random.below(800));
      this.check();
    }
    for (let i = 0; i < 2; i++) {
      for (const name of NODES) this.startAt(name, NEW);
      await world.started();
      await world.play(() => this.end(), 60_000);
      this.check();
    }
  }

  private async start(ports: Ports, name: string): Promise<Member> {
    const server = await ports.network.serve(`${name}:${PORT}`, []);
    const memberId = NODES.indexOf(name) + 1;
    const group = await RaftGroup.open({
      groupId: 'tally',
      memberId,
      members,
      ports,
      directory: 'raft',
      retain: { entries: 0 },
    });
    server.add(group.handlers);
    const code = this.codes.get(name)!;
    const replica = await startReplica({
      machine: new Tally(code),
      codec: (code >= NEW ? NEW_CODEC : OLD_CODEC) as ReplicaCodecs<Add, number, Sum>,
      log: group,
      ports,
      snapshotEvery: this.snapshotEvery,
      checkEvery: this.checkEvery,
    });
    replica.applied$.subscribe({
      next: ({ position, result }) => {
        const first = this.answers.get(position) ?? result;
        // Thrown here it would be out of sight.
        if (first !== result)
          this.violation ??= `${name} answers ${result} at ${position}, and another ${first}`;
        this.answers.set(position, result);
      },
      error: () => {},
    });
    const close = async (): Promise<void> => {
      await replica.close();
      await group.close();
      await server.close();
    };
    return { replica, close };
  }

  private startAt(name: string, code: number): void {
    this.world.crash(name);
    this.codes.set(name, code);
    this.world.restart(name);
  }

  private async raise(name: string): Promise<void> {
    await this.asked(name, (it) => it.upgradeTo(NEW, { timeoutMs: CALL_MS }));
  }

  private async execute(name: string, add: number): Promise<void> {
    const command = this.codes.get(name)! >= NEW ? { add } : add;
    await this.asked(name, (it) => it.execute(command, { timeoutMs: CALL_MS }));
  }

  /** Asks a replica, and waits for an answer; one that crashed, or whose code is too old, gives none. */
  private async asked(
    name: string,
    ask: (replica: Member['replica']) => Promise<number>,
  ): Promise<void> {
    const replica = this.find(name);
    if (replica === undefined) return;
    const { clock } = this.world.ports('client');
    const call = ask(replica).catch((error: unknown) => {
      if (!VarlogError.is(error)) throw error;
    });
    await this.world.play(() => Promise.race([call, sleep(clock, CALL_MS)]), 10_000);
  }

  /** All of them, with new code: nobody stopped for good, and the state is one. */
  private async end(): Promise<void> {
    const replicas = NODES.map((name) => this.find(name)!);
    await replicas[0]!.upgradeTo(NEW, { timeoutMs: 30_000 });
    await replicas[1]!.execute({ add: 1 }, { timeoutMs: 30_000 });
    const states = replicas.map((it) => it.query(({ value }) => value, { timeoutMs: 30_000 }));
    must(new Set(await Promise.all(states)).size === 1, 'the states differ at the end');
  }

  /** Only what has old code may stop, and only because it is old. */
  private check(): void {
    must(this.violation === undefined, `${this.violation}`);
    for (const name of NODES) {
      let status: ReplicaStatus | undefined;
      this.find(name)
        ?.status$.subscribe((it) => {
          status = it;
        })
        .unsubscribe();
      const { state, error, rules = OLD } = status ?? {};
      must(rules <= this.codes.get(name)!, `${name} goes by rules ${rules}`);
      if (state !== 'failed') continue;
      const isOld = this.codes.get(name) === OLD;
      must(isOld && /rules 2 are in force/.test(String(error)), `${name} failed: ${String(error)}`);
    }
  }

  private find(name: string): Member['replica'] | undefined {
    return (this.world.process(name) as Member | undefined)?.replica;
  }
}
