import { encodeBatch, type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { Topic, TopicProducer } from '../../framework/log/client/index.ts';
import { PRODUCER_LIMITS } from '../../framework/log/core/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import {
  AppendBatch,
  AppendRequest,
  type AppendResult,
  LogStreams,
} from '../../framework/wire/gen/log.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';
import { operate } from './operator.ts';
import { connect, endpoints, makeTopic, NODES, startNode } from './three-nodes.ts';

/** Each of them has a client, and the first one has two. */
const IDS = [1, 2, 3];
const APPEND_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 1_000;
/** So small that producers are forgotten all the time. */
const SMALL = { producers: 1, batches: PRODUCER_LIMITS.batches, ageMs: 2_000, keys: 1 };

/** One batch of a producer, and what its client was told. */
interface Produced {
  readonly id: number;
  readonly epoch: number;
  readonly logStream: number;
  readonly sequence: number;
  readonly texts: readonly string[];
  outcome: 'acknowledged' | 'notAppended' | 'unknown';
  /** Where it was said to stand. */
  place?: { readonly glsn: number; readonly llsn: number };
}

interface Found {
  readonly glsn: number;
  readonly llsn: number;
  readonly logStream: number;
  readonly text: string;
}

/**
 * The whole cluster through a few seconds of faults from a seed, with producers that retry whatever they do not know
 * the outcome of. Some are opened anew, some twice at a time; batches that were acknowledged come again, late and at any
 * node; the head of the log is trimmed, and in some runs replicas are moved about, or hardly any producer is
 * remembered. In the end every sequence stands in the log once, in order, where its client was told.
 */
export async function producerScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new ProducerRun(world, seed).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class ProducerRun {
  private readonly world: World;
  private readonly seed: number;
  private readonly forgets: boolean;
  private readonly produced: Produced[] = [];
  private readonly found: Found[] = [];
  private topicId = 0;
  private over = false;

  constructor(world: World, seed: number) {
    this.world = world;
    this.seed = seed;
    this.forgets = seed % 4 === 1;
  }

  async play(): Promise<void> {
    const { world, seed } = this;
    const producerLimits = this.forgets ? SMALL : PRODUCER_LIMITS;
    for (const name of NODES)
      world.node(name, (ports) => startNode(ports, name, { producerLimits }));
    this.topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    const collected = this.collect(world.ports('collector'));
    const clients = [...IDS, IDS[0]!].map((id, i) => this.produce(world.ports(`client-${i}`), id));
    const others = [this.repeat(world.ports('repeater')), this.trim(world.ports('trimmer'))];
    if (seed % 3 === 0) {
      const operated = { endpoints, topicId: this.topicId, over: () => this.over };
      others.push(operate(world.ports('operator'), operated));
    }
    await withFaults(world, NODES);
    this.over = true;
    await world.play(() => Promise.all([...clients, ...others]), 200_000);
    await world.play(() => this.end(world.ports('auditor'), collected), 120_000);
    this.check();
  }

  /** Everything that is in the log, before it is trimmed. */
  private async collect(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    for await (const entry of varlog.topic(this.topicId).tail({ from: 'start' })) {
      const { glsn, llsn, logStream } = entry;
      must(glsn === this.found.length + 1, `GLSN ${glsn} comes after ${this.found.length}`);
      this.found.push({ glsn, llsn, logStream, text: entry.text() });
      if (entry.text() === 'the end') break;
    }
    await varlog.close();
  }

  private async end(ports: Ports, collected: Promise<void>): Promise<void> {
    const varlog = await connect(ports);
    await varlog.topic(this.topicId).append('the end', { timeoutMs: 60_000 });
    await collected;
    await varlog.close();
  }

  private async produce(ports: Ports, id: number): Promise<void> {
    const { random, clock } = ports;
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    while (!this.over) {
      const producer = await open(topic, id);
      while (producer !== undefined && producer.failure === undefined && !this.over) {
        const burst = Array.from({ length: 1 + random.below(4) }, () =>
          this.append(ports, producer),
        );
        await Promise.all(burst);
        await sleep(clock, 10 + random.below(60));
        if (random.below(40) === 0) break;
      }
      await sleep(clock, random.below(300));
    }
    await varlog.close();
  }

  private async append(ports: Ports, producer: TopicProducer): Promise<void> {
    const { id, epoch, logStream } = producer;
    const before = this.produced.findLast((it) => it.epoch === epoch);
    const sequence = before === undefined ? 0 : before.sequence + before.texts.length;
    const count = 1 + ports.random.below(3);
    const texts = Array.from({ length: count }, (_, i) => `${id} ${epoch} ${sequence + i}`);
    const batch: Produced = { id, epoch, logStream, sequence, texts, outcome: 'unknown' };
    this.produced.push(batch);
    try {
      const ack = await producer.append(texts, { timeoutMs: APPEND_TIMEOUT_MS });
      must(ack.sequence === sequence, `sequence ${sequence} was given ${ack.sequence}`);
      batch.outcome = 'acknowledged';
      batch.place = ack;
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      batch.outcome = error.outcome ?? 'unknown';
      const mayFail = this.forgets || (id === IDS[0] && error.code === 'PRODUCER_FENCED');
      must(mayFail && error.code !== 'TIMEOUT', `"${texts[0]}" failed: ${error.message}`);
    }
  }

  /**
   * What was acknowledged comes again, at any node, and hears of the place that it has, or of none. At times something
   * comes far too early.
   */
  private async repeat(ports: Ports): Promise<void> {
    const { random, clock } = ports;
    while (!this.over) {
      await sleep(clock, 20 + random.below(60));
      const acknowledged = this.produced.filter((it) => it.place !== undefined);
      const newest = acknowledged.slice(random.below(2) === 0 ? -40 : 0);
      const batch = newest[random.below(newest.length)];
      if (batch === undefined) continue;
      const early = { ...batch, sequence: batch.sequence + 1_000_000, texts: ['too early'] };
      const { place: _, ...unheardOf } = early;
      const given = random.below(8) === 0 ? unheardOf : batch;
      await this.sendAgain(ports, given, endpoints[random.below(endpoints.length)]!);
    }
  }

  private async sendAgain(ports: Ports, batch: Produced, address: string): Promise<void> {
    const { id, epoch, sequence, texts, place, logStream: logStreamId } = batch;
    const records = texts.map((it) => new TextEncoder().encode(it));
    const { count, bytes } = encodeBatch(records, { producer: { id, epoch, sequence } });
    const channel = ports.network.connect(address);
    const stream = channel.open(LogStreams.Append);
    const limit = ports.clock.after(ANSWER_TIMEOUT_MS, () => stream.cancel());
    const answers: AppendResult[] = [];
    stream.receive(({ results }) => {
      answers.push(...results);
      stream.end();
    });
    const { topicId } = this;
    const request = { topicId, logStreamId, count, records: bytes, sequence: 1 };
    stream.send(AppendRequest.create({ batches: [AppendBatch.create(request)] }));
    try {
      await stream.closed;
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
    } finally {
      limit.cancel();
      channel.close();
    }
    for (const { failure, glsn, llsn, duplicate } of answers) {
      must(failure?.code !== 'INVALID_ARGUMENT', `${failure?.message}`);
      if (failure !== null) continue;
      must(place !== undefined, 'a batch was taken before those before it');
      must(duplicate, `"${texts[0]}" was taken a second time`);
      const isThere = glsn === place!.glsn && llsn === place!.llsn;
      must(isThere, `"${texts[0]}" is said to be at ${glsn}, and is at ${place!.glsn}`);
    }
  }

  private async trim(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    while (!this.over) {
      await sleep(ports.clock, 300 + ports.random.below(1_500));
      const upTo = this.found.length - ports.random.below(10);
      if (upTo < 1) continue;
      await varlog.topic(this.topicId).trim(upTo, { timeoutMs: 3_000 }).catch(refusalIsFine);
    }
    await varlog.close();
  }

  private check(): void {
    const places = new Map(this.found.map((it) => [it.text, it]));
    must(places.size === this.found.length, 'a record is there twice');
    for (const { texts, outcome, place, logStream } of this.produced) {
      for (const [i, text] of texts.entries()) {
        const found = places.get(text);
        if (outcome === 'notAppended')
          must(found === undefined, `"${text}" was refused, and is there`);
        if (place === undefined) continue;
        const isThere = found?.glsn === place.glsn + i && found.llsn === place.llsn + i;
        must(isThere && found.logStream === logStream, `"${text}" is not at ${place.glsn + i}`);
      }
    }
    this.checkOrder();
    const known = this.produced.filter((it) => it.place !== undefined);
    must(known.length > 20, `only ${known.length} batches were acknowledged (seed ${this.seed})`);
  }

  /** In each log stream, the sequences of an epoch follow each other from 0 on, and epochs do not go back. */
  private checkOrder(): void {
    const newest = new Map<string, { epoch: number; next: number }>();
    for (const { text, logStream } of this.found) {
      if (text === 'the end') continue;
      const [id = 0, epoch = 0, sequence = 0] = text.split(' ').map(Number);
      const before = newest.get(`${id} ${logStream}`) ?? { epoch: 0, next: 0 };
      must(epoch >= before.epoch, `"${text}" comes after epoch ${before.epoch}`);
      const next = epoch === before.epoch ? before.next : 0;
      must(sequence === next, `"${text}" comes where ${next} is due`);
      newest.set(`${id} ${logStream}`, { epoch, next: next + 1 });
    }
  }
}

async function open(topic: Topic, id: number): Promise<TopicProducer | undefined> {
  try {
    return await topic.producer({ id, timeoutMs: 30_000 });
  } catch (error) {
    refusalIsFine(error);
    return undefined;
  }
}

function refusalIsFine(error: unknown): void {
  if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
}
