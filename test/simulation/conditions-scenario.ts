import { encodeBatch, type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { AppendOptions, Expectation, Topic } from '../../framework/log/client/index.ts';
import { PRODUCER_LIMITS } from '../../framework/log/core/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import {
  AppendBatch,
  AppendCondition,
  AppendRequest,
  LogStreams,
} from '../../framework/wire/gen/log.ts';
import { ConditionHistory, type Told } from './conditions-history.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';
import { operate } from './operator.ts';
import { connect, endpoints, makeTopic, NODES, startNode } from './three-nodes.ts';

const KEYS = [...'abcdefgh'];
const APPEND_TIMEOUT_MS = 5_000;
const FENCE_TIMEOUT_MS = 20_000;
const GHOST_TIMEOUT_MS = 1_000;
/** So small that keys are forgotten all the time. */
const FEW_KEYS = { ...PRODUCER_LIMITS, keys: 2 };

/**
 * The whole cluster through a few seconds of faults from a seed, with clients that compare and append: behind the last
 * record, behind the last record of a key, as long as nobody has fenced them off, alone and through producers. Leaders take
 * over from each other, also where a log stream was just added, and what was fenced off goes on at any node. Heads
 * of logs are trimmed, in some runs hardly any key is remembered, or replicas are moved about. In the end nothing was appended
 * of which the expectation did not hold, and nobody was refused without a reason.
 */
export async function conditionsScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new ConditionsRun(world, seed).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class ConditionsRun {
  private readonly world: World;
  private readonly seed: number;
  private readonly history = new ConditionHistory();
  /** Of two log streams, and of one. */
  private sharded = 0;
  private single = 0;
  private over = false;
  private names = 0;

  constructor(world: World, seed: number) {
    this.world = world;
    this.seed = seed;
  }

  async play(): Promise<void> {
    const { world, seed } = this;
    const producerLimits = seed % 4 === 1 ? FEW_KEYS : PRODUCER_LIMITS;
    for (const name of NODES)
      world.node(name, (ports) => startNode(ports, name, { producerLimits }));
    this.sharded = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    this.single = this.sharded + 1;
    const collected = [this.sharded, this.single].map((it) =>
      this.collect(world.ports(`collector-${it}`), it),
    );
    const clients = [
      ...[0, 1].map((i) => this.compareTails(world.ports(`tail-${i}`))),
      ...[0, 1].map((i) => this.compareKeys(world.ports(`key-${i}`))),
      ...[0, 1].map((i) => this.lead(world.ports(`leader-${i}`))),
      this.chain(world.ports('chain')),
      this.writeAlone(world.ports('alone')),
      this.haunt(world.ports('ghost')),
      this.trim(world.ports('trimmer')),
      this.addLogStream(world.ports('adder')),
    ];
    if (seed % 3 === 0) {
      const operated = { endpoints, topicId: this.sharded, over: () => this.over };
      clients.push(operate(world.ports('operator'), operated));
    }
    await withFaults(world, NODES);
    this.over = true;
    await world.play(() => Promise.all(clients), 200_000);
    await world.play(() => this.end(world.ports('auditor'), collected), 120_000);
    this.history.check();
  }

  /** Everything that is in a topic, before it is trimmed. */
  private async collect(ports: Ports, topicId: number): Promise<void> {
    const varlog = await connect(ports);
    for await (const entry of varlog.topic(topicId).tail({ from: 'start' })) {
      this.history.found(topicId, entry);
      if (entry.text() === 'the end') break;
    }
    await varlog.close();
  }

  private async end(ports: Ports, collected: readonly Promise<void>[]): Promise<void> {
    const varlog = await connect(ports);
    for (const id of [this.sharded, this.single])
      await varlog.topic(id).append('the end', { timeoutMs: 60_000 });
    await Promise.all(collected);
    await varlog.close();
  }

  /** Runs turns of a client until it is over. */
  private async turns(
    ports: Ports,
    topicId: number,
    turn: (topic: Topic) => Promise<void>,
  ): Promise<void> {
    const varlog = await connect(ports);
    while (!this.over) {
      await turn(varlog.topic(topicId));
      await sleep(ports.clock, 20 + ports.random.below(80));
    }
    await varlog.close();
  }

  /** Appends, and notes what was told of it. */
  private async append(topic: Topic, what: string, options: AppendOptions): Promise<Told> {
    const told = this.history.begin(topic.id, `${what} #${this.names++}`);
    try {
      const ack = await topic.append(told.text, { timeoutMs: APPEND_TIMEOUT_MS, ...options });
      this.history.acknowledged(told, ack);
    } catch (error) {
      this.history.failed(told, error);
    }
    return told;
  }

  private async compareTails(ports: Ports): Promise<void> {
    let tail = 0;
    await this.turns(ports, this.single, async (topic) => {
      const { llsn, actual } = await this.append(topic, `tail ${tail}`, { expect: { tail } });
      tail = llsn ?? actual ?? tail;
    });
  }

  /** What is read of a key is its last record, or any place up to which there is none. */
  private async compareKeys(ports: Ports): Promise<void> {
    const { random } = ports;
    const versions = new Map<string, number>();
    await this.turns(ports, this.sharded, async (topic) => {
      const key = KEYS[random.below(KEYS.length)]!;
      const known = versions.get(key) ?? 0;
      // At times it has not heard for long.
      const version = random.below(3) === 0 ? random.below(1 + known) : known;
      const isBlind = random.below(6) === 0;
      const stream = { key, version };
      const expect: Expectation = random.below(8) === 0 ? { stream, tail: version } : { stream };
      const told = await this.append(topic, isBlind ? 'blind' : `key ${key} ${version}`, {
        key,
        logStream: 1,
        ...(isBlind ? {} : { expect }),
      });
      const next = told.llsn ?? (told.condition === 'stream' ? told.actual : undefined);
      if (next !== undefined) versions.set(key, next);
    });
  }

  /** Nobody else writes this key: without a try of which the outcome is unknown there is no reason to refuse it. */
  private async writeAlone(ports: Ports): Promise<void> {
    let version = 0;
    let isSure = true;
    await this.turns(ports, this.sharded, async (topic) => {
      const stream = { key: 'alone', version };
      const options = { key: 'alone', logStream: 2, expect: { stream } };
      const told = await this.append(topic, `key alone ${version}`, options);
      if (told.actual !== undefined) {
        const hasReason = !isSure || told.atMost || told.actual < version;
        must(hasReason, `"${told.text}" was refused because of ${told.actual}`);
      }
      isSure =
        told.outcome !== 'unknown' &&
        (isSure || told.actual !== undefined || told.llsn !== undefined);
      version = told.llsn ?? told.actual ?? version;
    });
  }

  /** Takes over, appends for a while, and gives up as soon as somebody else has taken over. */
  private async lead(ports: Ports): Promise<void> {
    const { random, clock } = ports;
    await this.turns(ports, this.sharded, async (topic) => {
      const token = await this.takeOver(topic, ports);
      if (token === undefined) return;
      for (let left = 3 + random.below(10); left > 0 && !this.over; left--) {
        const told = await this.append(topic, `fence ${token}`, { expect: { fence: token } });
        if (told.actual !== undefined) {
          must(told.actual > token, `"${told.text}" was refused because of ${told.actual}`);
          return;
        }
        await sleep(clock, random.below(60));
      }
    });
  }

  private async takeOver(topic: Topic, { random }: Ports): Promise<number | undefined> {
    const only = random.below(4) === 0 ? { logStream: 1 + random.below(2) } : {};
    try {
      const token = await topic.fence({ timeoutMs: FENCE_TIMEOUT_MS, ...only });
      const { last } = await topic.watermarks({ timeoutMs: FENCE_TIMEOUT_MS });
      this.history.fenced({ token, last, ...only });
      // Elsewhere an older token stands.
      return 'logStream' in only ? undefined : token;
    } catch (error) {
      refusalIsFine(error);
      return undefined;
    }
  }

  /** What was fenced off goes on, at any node: also where it still seems to be the primary. */
  private async haunt(ports: Ports): Promise<void> {
    const { random, clock } = ports;
    while (!this.over) {
      await sleep(clock, 20 + random.below(60));
      const { fences } = this.history;
      const token = fences[fences.length - 1 - random.below(3)]?.token;
      if (token === undefined) continue;
      const told = this.history.begin(this.sharded, `fence ${token} #${this.names++}`);
      const address = endpoints[random.below(endpoints.length)]!;
      await this.sendTo(ports, address, told.text, token);
    }
  }

  private async sendTo(ports: Ports, address: string, text: string, fence: number): Promise<void> {
    const { count, bytes: records } = encodeBatch([new TextEncoder().encode(text)]);
    const condition = AppendCondition.create({ count, fence });
    const place = { topicId: this.sharded, logStreamId: 1 + ports.random.below(3), sequence: 1 };
    const channel = ports.network.connect(address);
    const stream = channel.open(LogStreams.Append);
    const limit = ports.clock.after(GHOST_TIMEOUT_MS, () => stream.cancel());
    stream.receive(() => stream.end());
    stream.send(
      AppendRequest.create({ batches: [AppendBatch.create({ ...place, records, condition })] }),
    );
    try {
      await stream.closed;
    } catch (error) {
      refusalIsFine(error);
    } finally {
      limit.cancel();
      channel.close();
    }
  }

  /** Through a producer, each append builds on the one before it, which is still on its way. */
  private async chain(ports: Ports): Promise<void> {
    let tail = 0;
    await this.turns(ports, this.single, async (topic) => {
      const producer = await topic.producer({ id: 1, timeoutMs: 30_000 }).catch(refusalIsFine);
      while (producer?.failure === undefined && producer !== undefined && !this.over) {
        const length = 1 + ports.random.below(3);
        const links = Array.from({ length }, (_, i) => {
          const on = i === 0 ? 'any' : `#${this.names - 1}`;
          const what = `chain ${on} tail ${tail + i} #${this.names++}`;
          const told = this.history.begin(topic.id, what);
          const expect = { tail: tail + i };
          return producer.append(told.text, { expect, timeoutMs: 30_000 }).then(
            (ack) => this.history.acknowledged(told, ack),
            (error: unknown) => this.history.failed(told, error),
          );
        });
        const told = await Promise.all(links);
        tail = told.at(-1)!.llsn ?? told[0]!.actual ?? tail;
        await sleep(ports.clock, 20 + ports.random.below(100));
      }
    });
  }

  private async trim(ports: Ports): Promise<void> {
    await this.turns(ports, this.sharded, async (topic) => {
      await sleep(ports.clock, 300 + ports.random.below(1_500));
      const upTo = this.history.lengthOf(topic.id) - ports.random.below(10);
      if (upTo >= 1) await topic.trim(upTo, { timeoutMs: 3_000 }).catch(refusalIsFine);
    });
  }

  private async addLogStream(ports: Ports): Promise<void> {
    await sleep(ports.clock, 2_000 + ports.random.below(3_000));
    const varlog = await connect(ports);
    const topic = varlog.topic(this.sharded);
    await topic.addLogStream({ replicationFactor: 3, timeoutMs: 10_000 }).catch(refusalIsFine);
    await varlog.close();
  }
}

function refusalIsFine(error: unknown): undefined {
  if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
  return undefined;
}
