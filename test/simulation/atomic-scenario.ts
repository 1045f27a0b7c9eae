import { encodeBatch, type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { AppendAck, Topic, Varlog } from '../../framework/log/client/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { AppendBatch, AppendRequest, LogStreams } from '../../framework/wire/gen/log.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';
import { operate } from './operator.ts';
import { connect, endpoints, makeTopic, NODES, startNode } from './three-nodes.ts';

const CLIENTS = 3;
const APPEND_TIMEOUT_MS = 20_000;
const ANSWER_TIMEOUT_MS = 6_000;

/** Money that goes from some accounts to others; each log stream is one. */
interface Transfer {
  readonly name: string;
  readonly parts: readonly { readonly logStream: number; readonly texts: readonly string[] }[];
  outcome: 'acknowledged' | 'notAppended' | 'unknown';
  /** Where parts were said to stand. */
  places: readonly Pick<AppendAck, 'logStream' | 'glsn'>[];
}

interface Found {
  readonly glsn: number;
  readonly logStream: number;
  readonly text: string;
}

/**
 * The whole cluster through a few seconds of faults from a seed, with clients that move money between accounts, each of
 * which is a log stream: every transfer takes from some and gives to others by one atomic append. Other clients append by
 * themselves, or die between two parts; in some runs replicas are moved about. Whoever reads up to the tail finds every
 * transfer whole or not at all, and all accounts together empty. In the end each is where its client was told.
 */
export async function atomicScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new AtomicRun(world, seed).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class AtomicRun {
  private readonly world: World;
  private readonly seed: number;
  private readonly transfers: Transfer[] = [];
  /** Of those that append one part only. */
  private readonly halves = new Set<string>();
  private topicId = 0;
  private logStreams: number[] = [];
  private over = false;

  constructor(world: World, seed: number) {
    this.world = world;
    this.seed = seed;
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => startNode(ports, name));
    await world.play(() => this.prepare(world.ports('operator')), 60_000);
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      this.transfer(world.ports(`client-${i}`), `client ${i}`),
    );
    const others = [
      this.appendAlone(world.ports('alone')),
      this.sendHalves(world.ports('half')),
      this.audit(world.ports('reader')),
    ];
    if (this.isOperated) {
      const operated = { endpoints, topicId: this.topicId, over: () => this.over };
      others.push(operate(world.ports('operator'), operated));
    }
    await withFaults(world, NODES);
    this.over = true;
    await world.play(() => Promise.all([...clients, ...others]), 200_000);
    await world.play(() => this.check(world.ports('auditor')), 120_000);
  }

  /** Whether somebody seals and unseals log streams meanwhile. */
  private get isOperated(): boolean {
    return this.seed % 3 === 0;
  }

  private async prepare(ports: Ports): Promise<void> {
    this.topicId = await makeTopic(ports);
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    await topic.addLogStream();
    const { logStreams } = await topic.describe();
    this.logStreams = logStreams.map((it) => it.id);
    must(this.logStreams.length === 3, 'there are three accounts');
    await varlog.close();
  }

  private async transfer(ports: Ports, client: string): Promise<void> {
    const { random, clock } = ports;
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    for (let i = 0; !this.over; i++) {
      const names = Array.from({ length: 1 + random.below(3) }, (_, k) => `${client}.${i}.${k}`);
      await Promise.all(names.map((it) => this.transferOnce(topic, this.made(ports, it))));
      await sleep(clock, 10 + random.below(60));
    }
    await varlog.close();
  }

  /** A transfer between two or all accounts, of one record in each, or two. */
  private made({ random }: Ports, name: string): Transfer {
    const left = [...this.logStreams];
    if (random.below(3) > 0) left.splice(random.below(left.length), 1);
    const amounts = left.map(() => random.below(100));
    amounts[0] = amounts[0]! - amounts.reduce((sum, it) => sum + it, 0);
    const parts = left.map((logStream, i) => {
      const text = `${name} ${i + 1}/${left.length} ${amounts[i]}`;
      return { logStream, texts: random.below(4) === 0 ? [text, 'of the same part'] : [text] };
    });
    const transfer: Transfer = { name, parts, outcome: 'unknown', places: [] };
    this.transfers.push(transfer);
    return transfer;
  }

  private async transferOnce(topic: Topic, transfer: Transfer): Promise<void> {
    const parts = transfer.parts.map(({ logStream, texts }) => ({ logStream, records: texts }));
    try {
      transfer.places = await topic.appendAtomically(parts, { timeoutMs: APPEND_TIMEOUT_MS });
      transfer.outcome = 'acknowledged';
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      must(error.code !== 'INVALID_ARGUMENT', error.message);
      transfer.outcome = error.outcome ?? 'unknown';
      const { appended } = error.details;
      if (appended !== undefined) transfer.places = appended as Transfer['places'];
    }
  }

  private async appendAlone(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    while (!this.over) {
      await varlog.topic(this.topicId).append('alone', { timeoutMs: 5_000 }).catch(refusalIsFine);
      await sleep(ports.clock, 20 + ports.random.below(60));
    }
    await varlog.close();
  }

  /** Clients that end between two parts: they are never in anybody's way, and their part is nowhere. */
  private async sendHalves(ports: Ports): Promise<void> {
    const { random, clock } = ports;
    for (let id = 1; !this.over; id++) {
      await sleep(clock, 100 + random.below(400));
      const text = `half ${id}`;
      this.halves.add(text);
      const logStreams = this.logStreams.slice(random.below(2));
      const record = new TextEncoder().encode(text);
      const { count, bytes: records } = encodeBatch([record], { atomic: { id, logStreams } });
      const channel = ports.network.connect(endpoints[random.below(endpoints.length)]!);
      const stream = channel.open(LogStreams.Append);
      const limit = clock.after(ANSWER_TIMEOUT_MS, () => stream.cancel());
      stream.receive(({ results }) => {
        for (const { failure } of results) {
          must(failure?.outcome === 'notAppended', `"${text}" was not refused for certain`);
        }
        stream.end();
      });
      const logStreamId = logStreams[random.below(logStreams.length)]!;
      const batch = { sequence: 1, topicId: this.topicId, logStreamId, count, records };
      stream.send(AppendRequest.create({ batches: [AppendBatch.create(batch)] }));
      const closed = stream.closed.catch(refusalIsFine).finally(() => {
        limit.cancel();
        channel.close();
      });
      if (random.below(2) === 0) await closed;
    }
  }

  /** Reads on to the tail, again and again: there everything is whole. */
  private async audit(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const books = new Books();
    let read = 0;
    while (!this.over) {
      await sleep(ports.clock, 5 + ports.random.below(100));
      try {
        read = await readOn(varlog, this.topicId, read, books);
      } catch (error) {
        refusalIsFine(error);
      }
    }
    await varlog.close();
  }

  private async check(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    for (const logStream of this.logStreams) {
      const options = { logStream, timeoutMs: 60_000 };
      await varlog.topic(this.topicId).append('the end', options);
    }
    const books = new Books();
    await readOn(varlog, this.topicId, 0, books);
    await varlog.close();
    const places = new Map(books.found.map((it) => [it.text, it]));
    for (const { name, parts, outcome, places: said } of this.transfers) {
      for (const { logStream, texts } of parts) {
        const found = places.get(texts[0]!);
        if (outcome === 'notAppended') must(found === undefined, `"${name}" was refused`);
        if (outcome === 'acknowledged') must(found !== undefined, `"${name}" is not there`);
        const at = said.find((it) => it.logStream === logStream)?.glsn;
        if (at === undefined) continue;
        const there = books.found[at - 1];
        const isThere = there?.text === texts[0] && there?.logStream === logStream;
        must(isThere, `"${name}" is not at ${at} in log stream ${logStream}`);
        if (texts.length > 1) must(books.found[at]?.text === texts[1], `"${name}" was torn`);
      }
    }
    for (const it of this.halves) must(!places.has(it), `"${it}" is there`);
    const known = this.transfers.filter((it) => it.outcome === 'acknowledged');
    // An operator may leave an account sealed for as long as it lasts.
    const least = this.isOperated ? 1 : 20;
    must(known.length >= least, `only ${known.length} were acknowledged (seed ${this.seed})`);
  }
}

/** What a reader has found so far. */
class Books {
  readonly found: Found[] = [];
  private readonly parts = new Map<string, number>();
  private readonly open = new Set<string>();
  private balance = 0;

  add(entry: Found): void {
    must(entry.glsn === this.found.length + 1, `GLSN ${entry.glsn} after ${this.found.length}`);
    this.found.push(entry);
    const [, name, of, amount] = /^(client \d+\.\d+\.\d+) \d\/(\d) (-?\d+)$/.exec(entry.text) ?? [];
    if (name === undefined) return;
    const count = this.partsOf(name) + 1;
    must(count <= Number(of), `"${name}" has a part twice`);
    this.parts.set(name, count);
    if (count === Number(of)) this.open.delete(name);
    else this.open.add(name);
    this.balance += Number(amount);
  }

  partsOf(name: string): number {
    return this.parts.get(name) ?? 0;
  }

  /** To be called at a tail. */
  checkWhole(): void {
    must(this.open.size === 0, `at ${this.found.length} there is a part of ${[...this.open]}`);
    must(this.balance === 0, `at ${this.found.length} there is ${this.balance} too much`);
  }
}

/** Reads from where the books are to the tail as it is now; says where that was. */
async function readOn(
  varlog: Varlog,
  topicId: number,
  read: number,
  books: Books,
): Promise<number> {
  const topic = varlog.topic(topicId);
  const { last } = await topic.watermarks({ timeoutMs: 30_000 });
  if (last === read) return read;
  const found: Found[] = [];
  for await (const entry of topic.read({ from: read + 1, to: last })) {
    const { glsn, logStream } = entry;
    found.push({ glsn, logStream, text: entry.text() });
  }
  for (const it of found) books.add(it);
  books.checkWhole();
  return last;
}

function refusalIsFine(error: unknown): void {
  if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
}
