import { type Ports, VarlogError } from '../../framework/base/index.ts';
import { definitionOf, type MetadataCommand } from '../../framework/log/core/index.ts';
import type { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';
import { type NodeRoles, startRoles } from '../../framework/log/roles/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { must } from './memory.ts';
import { makeTopic } from './three-nodes.ts';
import { drawWriteAhead } from './write-ahead.ts';

const NAMES = ['n1', 'n2', 'n3'];
const CLIENTS = 2;
const AGREED_WITHIN_MS = 30_000;
/** The level of the command that only the new version knows, and the one before it. */
const NEW = definitionOf({ kind: 'addConsumer' }).level;
const OLD = NEW - 1;
const addressOf = (name: string): string => `${name}:9092`;

/**
 * A cluster of three whose members are upgraded from the feature level before the newest one, one after the other,
 * under load, with crashes, partitions and pauses in between. A command of the new level is refused, before it is
 * proposed and with the members that are to be upgraded, until the last one of them runs the new version, and is
 * accepted soon afterwards; no member ever fails, commands of the old level work all the time, nothing that was
 * acknowledged is lost. A member that is downgraded at last stops, and goes on once it was upgraded again.
 */
export async function upgradeScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new UpgradeRun(world).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class UpgradeRun {
  private readonly world: World;
  private added = 0;
  private readonly levels = new Map(NAMES.map((name) => [name, OLD]));
  private readonly history: History = { attempts: [], commands: [] };
  private topicId = 0;
  private holds = 0;

  constructor(world: World) {
    this.world = world;
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NAMES) world.node(name, (ports) => this.start(ports, name));
    this.topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    let over = false;
    const clients = startAppenders(world, CLIENTS, this.topicId, this.history, () => over);
    const random = world.random.stream('upgrade');
    const order = [...NAMES];
    while (order.length > 0) {
      await this.disturb();
      await this.isRefused();
      const [name] = order.splice(random.below(order.length), 1);
      this.startAt(name!, NEW);
    }
    await this.isAccepted();
    await this.disturb();
    await this.downgradedStops(random.pick(NAMES));
    over = true;
    await world.play(() => Promise.all(clients), 120_000);
    await world.play(() => checkLog(world.ports('auditor'), this.topicId, this.history), 120_000);
    this.nobodyFailed();
  }

  /** Something that happens to any cluster, or nothing. All is well again some time later. */
  private async disturb(): Promise<void> {
    const { world } = this;
    const random = world.random.stream('disturb');
    await world.run(500 + random.below(2_500));
    const name = random.pick(NAMES);
    const kind = random.below(4);
    if (kind === 0) {
      world.crash(name, { powerLoss: random.below(2) === 0 });
      world.after(random.below(2_000), () => world.restart(name));
    } else if (kind === 1) {
      const lift = world.partition([[name], NAMES.filter((it) => it !== name)]);
      world.after(random.below(3_000), lift);
    } else if (kind === 2) {
      world.pause(name);
      world.after(random.below(2_000), () => world.resume(name));
    }
    await world.run(random.below(4_000));
    this.nobodyFailed();
    await world.run(3_100);
  }

  /** The new command is refused while some member does not know it; one of the old level is carried out. */
  private async isRefused(): Promise<void> {
    const old = NAMES.flatMap((it, i) => (this.levels.get(it) === OLD ? [i + 1] : []));
    const repository = this.repositoryOf(this.world.random.stream('asked').pick(NAMES));
    const error = await this.world.play(
      () =>
        this.tryNew(repository).then(
          () => undefined,
          (it: unknown) => it,
        ),
      60_000,
    );
    must(error !== undefined, 'a command of the new level is accepted before all members know it');
    must(VarlogError.is(error), `it is refused with ${String(error)}`);
    const { code, details } = error as VarlogError;
    must(code === 'FAILED_PRECONDITION', `it is refused with ${String(error)}`);
    const named = details['members'] as number[];
    must(
      old.every((it) => named.includes(it)),
      `${named} are named, and ${old} are old`,
    );
    const topicId = this.topicId;
    const holder = `holder ${++this.holds}`;
    const hold = { kind: 'hold', topicId, holder, position: 0 } as const;
    await this.world.play(() => repository.execute(hold), 60_000);
    this.nobodyFailed();
  }

  private async isAccepted(): Promise<void> {
    const { world } = this;
    const isAgreed = (): boolean =>
      NAMES.every((it) => this.find(it)?.metadata.featureLevel === NEW);
    await world.until(isAgreed, AGREED_WITHIN_MS);
    for (const name of NAMES) await world.play(() => this.tryNew(this.repositoryOf(name)), 60_000);
    this.nobodyFailed();
  }

  /** What is agreed on stays: a member of the old version stops, says what to do, and resumes as a new one. */
  private async downgradedStops(name: string): Promise<void> {
    this.startAt(name, OLD);
    await this.world.until(() => this.find(name)?.failure !== undefined, AGREED_WITHIN_MS);
    const { failure } = this.repositoryOf(name);
    must(
      /APPLY_FAILED: .*supports.*start this member with the version/.test(`${failure?.message}`),
      `it stops with ${failure}`,
    );
    this.startAt(name, NEW);
    await this.world.until(() => this.find(name)?.metadata.featureLevel === NEW, AGREED_WITHIN_MS);
  }

  private tryNew(repository: MetadataRepository): Promise<number> {
    const { topicId } = this;
    const name = `consumer ${++this.added}`;
    const command: MetadataCommand = { kind: 'addConsumer', topicId, name, begin: 'end' };
    return repository.execute(command, { timeoutMs: 30_000 });
  }

  private nobodyFailed(): void {
    for (const name of NAMES) {
      const failure = this.find(name)?.failure;
      must(failure === undefined, `${name} failed: ${failure?.message}`);
    }
  }

  private find(name: string): MetadataRepository | undefined {
    return (this.world.process(name) as NodeRoles | undefined)?.repository;
  }

  private repositoryOf(name: string): MetadataRepository {
    const repository = this.find(name);
    must(repository !== undefined, `${name} does not run`);
    return repository!;
  }

  private startAt(name: string, level: number): void {
    this.world.crash(name);
    this.levels.set(name, level);
    this.world.restart(name);
  }

  /** A whole node, with the feature level that its version supports. */
  private start(ports: Ports, name: string): Promise<NodeRoles> {
    return startRoles({
      ports,
      clusterId: 1,
      nodeId: NAMES.indexOf(name) + 1,
      address: addressOf(name),
      members: NAMES.map((it, i) => ({ id: i + 1, address: addressOf(it) })),
      metadata: {
        directory: 'metadata',
        replicationFactor: NAMES.length,
        supportedLevel: this.levels.get(name)!,
      },
      storage: { directory: 'storage', writeAhead: drawWriteAhead(ports.random) },
    });
  }
}
