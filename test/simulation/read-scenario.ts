import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { Topic } from '../../framework/log/client/index.ts';
import type { NodeRoles } from '../../framework/log/roles/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { Ordering, TailRequest } from '../../framework/wire/gen/log.ts';
import { must } from './memory.ts';
import { connect, endpoints, NODES, startNode } from './three-nodes.ts';

const LOG_STREAMS = 3;
const APPENDERS = 3;
const FAULTS_MS = 8_000;
/** Longer than a lease and an election: whoever is paused for so long has been replaced when it goes on. */
const PAUSE_MS = { least: 1_000, more: 1_500 };

/**
 * A whole cluster whose metadata repository answers reads under leases, through a few seconds of faults from a seed. Its
 * leader is cut off from the other members, and often paused meanwhile, so that another one is elected and the topic goes
 * on without its knowledge; members crash, and in some runs one of them has no leases. All that time readers ask each
 * member by itself how far the topic goes, and read their own writes from any replica. No read may miss what was
 * acknowledged before it began.
 */
export async function readScenario(seed: number): Promise<RunReport> {
  const world = new World(seed, { driftPpmMax: 1_000 });
  try {
    await new ReadRun(world, seed).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class ReadRun {
  private readonly world: World;
  private readonly seed: number;
  private topicId = 0;
  private over = false;
  /** The last GLSN that somebody was told of. */
  private acknowledged = 0;
  /** Where each record was said to be. */
  private readonly places = new Map<number, string>();
  private linearizable = 0;
  private ownReads = 0;

  constructor(world: World, seed: number) {
    this.world = world;
    this.seed = seed;
  }

  async play(): Promise<void> {
    const { world, seed } = this;
    const unleased = seed % 4 === 1 ? NODES[seed % NODES.length] : undefined;
    for (const name of NODES) {
      world.node(name, (ports) => startNode(ports, name, {}, { leaseReads: name !== unleased }));
    }
    this.topicId = await world.play(() => this.makeTopic(world.ports('operator')), 60_000);
    const work = [
      ...Array.from({ length: APPENDERS }, (_, i) => this.append(world.ports(`client-${i}`), i)),
      ...endpoints.map((it, i) => this.askAgain(world.ports(`asker-${i}`), it)),
      ...NODES.map((_, i) => this.readOwn(world.ports(`reader-${i}`))),
    ];
    await this.disturb();
    this.over = true;
    await world.play(() => Promise.all(work), 200_000);
    await world.play(() => this.readAll(world.ports('auditor')), 120_000);
    must(this.linearizable > 50, `only ${this.linearizable} reads were answered (seed ${seed})`);
    must(this.ownReads > 10, `only ${this.ownReads} writes were read (seed ${seed})`);
  }

  private async makeTopic(ports: Ports): Promise<number> {
    const varlog = await connect(ports);
    await varlog.ready({ storageNodes: NODES.length, timeoutMs: 30_000 });
    const { id } = await varlog.createTopic({ logStreams: LOG_STREAMS });
    await varlog.close();
    return id;
  }

  private async append(ports: Ports, client: number): Promise<void> {
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    for (let i = 0; !this.over; i++) {
      const text = `client ${client} append ${i}`;
      try {
        const { glsn } = await topic.append(text, { timeoutMs: 2_000 });
        this.places.set(glsn, text);
        this.acknowledged = Math.max(this.acknowledged, glsn);
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      }
      await sleep(ports.clock, 20 + ports.random.below(60));
    }
    await varlog.close();
  }

  /** Asks one member, whatever it takes itself for, how far the topic goes. */
  private async askAgain(ports: Ports, address: string): Promise<void> {
    const request = TailRequest.create({ topicId: this.topicId });
    const channel = ports.network.connect(address);
    while (!this.over) {
      const before = this.acknowledged;
      try {
        const { glsn } = await channel.call(Ordering.Tail, request, { timeoutMs: 1_000 });
        this.linearizable++;
        must(
          glsn >= before,
          `${address} ends the topic at ${glsn}, and ${before} was acknowledged`,
        );
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      }
      await sleep(ports.clock, 10 + ports.random.below(30));
    }
    channel.close();
  }

  /** Reads what was acknowledged, from whichever replica. */
  private async readOwn(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    while (!this.over) {
      await sleep(ports.clock, 50 + ports.random.below(150));
      const { acknowledged } = this;
      if (acknowledged === 0) continue;
      const from = Math.max(1, acknowledged - ports.random.below(20));
      try {
        await this.readBehind(topic, from, acknowledged, 3_000);
        this.ownReads++;
      } catch (error) {
        if (!VarlogError.is(error, 'TIMEOUT')) throw error;
      }
    }
    await varlog.close();
  }

  private async readBehind(
    topic: Topic,
    from: number,
    atLeast: number,
    timeoutMs: number,
  ): Promise<void> {
    let next = from;
    for await (const entry of topic.read({ from, atLeast, timeoutMs })) {
      must(entry.glsn === next, `GLSN ${entry.glsn} comes where ${next} is due`);
      const text = this.places.get(entry.glsn);
      must(text === undefined || entry.text() === text, `${next} holds "${entry.text()}"`);
      next++;
    }
    must(next > atLeast, `a read of at least ${atLeast} ends before ${next}`);
  }

  /** When all is well again, nothing is missing, and everything is read without delay. */
  private async readAll(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    const { glsn } = await topic.append('the end', { timeoutMs: 60_000 });
    this.places.set(glsn, 'the end');
    await this.readBehind(topic, 1, glsn, 30_000);
    await varlog.close();
  }

  private async disturb(): Promise<void> {
    const { world } = this;
    const random = world.random.stream('faults');
    const end = world.nowMs + FAULTS_MS;
    while (world.nowMs < end) {
      await world.run(300 + random.below(900));
      const leader = NODES.find((it) => this.roleOf(it) === 'leader');
      const name = leader ?? NODES[random.below(NODES.length)]!;
      const kind = random.below(6);
      if (kind === 0) {
        world.crash(name, { powerLoss: random.below(2) === 0 });
        await world.run(random.below(1_500));
        world.restart(name);
        continue;
      }
      const others = NODES.filter((it) => it !== name);
      const lift = world.partition([[name], others], { oneWay: random.below(4) === 0 });
      if (kind > 2) {
        // It goes on where it stood, and takes itself for the leader until it hears of another one.
        world.pause(name);
        await world.run(PAUSE_MS.least + random.below(PAUSE_MS.more));
        world.resume(name);
      }
      await world.run(200 + random.below(1_500));
      lift();
    }
    world.heal();
    await world.run(2_000);
  }

  private roleOf(name: string): string | undefined {
    const roles = this.world.process(name) as NodeRoles | undefined;
    return roles?.repository?.status.role;
  }
}
