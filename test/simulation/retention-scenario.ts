import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import type { Retention } from '../../framework/log/core/index.ts';
import { type NodeRoles, startRoles } from '../../framework/log/roles/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';
import { operate } from './operator.ts';
import { connect } from './three-nodes.ts';
import { drawWriteAhead } from './write-ahead.ts';

const NODES = ['n1', 'n2', 'n3'];
const endpoints = NODES.map((name) => `${name}:9092`);
const CLIENTS = 3;
const LOG_STREAMS = 2;
const SEGMENT_BYTES = 16 * 1024;
/** A file has at least so many bytes of batches before the next one begins. */
const FULL_BYTES = 11_000;
/** Of a batch on disk, beside its records; and of a record. */
const FRAME_BYTES = 60;
const LENGTH_BYTES = 4;
const HOLDER = 'a consumer';
/** By then the leader has looked several times. */
const SETTLED_MS = 45_000;
/** Wall clocks of two nodes differ by so much, and drift; and the observer comes late. */
const TOLERANCE_MS = 2_200;

/** What must have come up in some run. */
export type Sight = 'trimmed by bytes' | 'trimmed by age' | 'stopped by a hold';

interface Appended {
  readonly bytes: number;
  readonly begunMs: number;
  /** `undefined`: nobody knows where it is, or whether. */
  glsn?: number;
}

/**
 * A topic with small limits, of bytes, of age, or both, while clients append, a consumer holds what it has not read, nodes
 * crash and replicas move. All the time: nothing goes that a limit still keeps, and nothing that is held. In the end: what
 * is there is within the limits, and all members and replicas agree where it begins.
 */
export async function retentionScenario(
  seed: number,
  sights: Set<Sight> = new Set(),
): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new RetentionRun(world, seed, sights).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class RetentionRun {
  private readonly world: World;
  private readonly seed: number;
  private readonly sights: Set<Sight>;
  private readonly retention: Retention;
  private readonly appended: Appended[] = [];
  private topicId = 0;
  private trimmed = 0;
  private over = false;
  private isDone = false;

  constructor(world: World, seed: number, sights: Set<Sight>) {
    this.world = world;
    this.seed = seed;
    this.sights = sights;
    const random = world.random.stream('limits');
    const bytes = 20_000 + random.below(120_000);
    const ageMs = 3_000 + random.below(20_000);
    const kind = seed % 3;
    this.retention = { ...(kind !== 0 && { bytes }), ...(kind !== 1 && { ageMs }) };
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => start(ports, name));
    this.topicId = await world.play(() => this.makeTopic(world.ports('operator')), 60_000);
    const clients = Array.from({ length: CLIENTS }, (_, i) => this.append(`client-${i}`));
    const observer = this.observe(world.ports('observer'));
    const consumer = this.seed % 2 === 0 ? this.consume(world.ports('consumer')) : undefined;
    const { topicId } = this;
    const operated = { endpoints, topicId, over: () => this.over };
    const moves = Math.floor(this.seed / 2) % 2 === 0;
    const operator = moves ? operate(world.ports('mover'), operated) : undefined;
    await withFaults(world, NODES);
    await world.run(10_000 + world.random.stream('calm').below(10_000));
    await withFaults(world, NODES);
    this.over = true;
    await world.play(() => Promise.all([...clients, consumer, operator]), 120_000);
    await world.run(SETTLED_MS);
    this.isDone = true;
    await world.play(() => observer, 60_000);
    await world.play(() => this.checkEnd(world.ports('auditor')), 120_000);
    await world.until(() => this.disagreement() === undefined, 60_000).catch(() => {});
    const differs = this.disagreement();
    must(differs === undefined, `${differs}`);
  }

  private async makeTopic(ports: Ports): Promise<number> {
    const varlog = await connect(ports);
    await varlog.ready({ storageNodes: NODES.length, timeoutMs: 30_000 });
    const { retention } = this;
    // The members agree on the level of the command within a second.
    for (;;) {
      try {
        const topic = await varlog.createTopic({ logStreams: LOG_STREAMS, retention });
        await varlog.close();
        return topic.id;
      } catch (error) {
        if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
        await sleep(ports.clock, 200);
      }
    }
  }

  private async append(name: string): Promise<void> {
    const ports = this.world.ports(name);
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    while (!this.over) {
      const record = new Uint8Array(100 + ports.random.below(900)).fill(1);
      const bytes = FRAME_BYTES + LENGTH_BYTES + record.length;
      const one: Appended = { bytes, begunMs: this.world.nowMs };
      this.appended.push(one);
      try {
        one.glsn = (await topic.append(record, { timeoutMs: 5_000 })).glsn;
      } catch (error) {
        if (!VarlogError.is(error)) throw error;
      }
      await sleep(ports.clock, 20 + ports.random.below(60));
    }
    await varlog.close();
  }

  /** Reads everything at its own pace, which is slow at times, and holds what it has not read. */
  private async consume(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    let position = 0;
    const hold = async (): Promise<void> => {
      while (!this.over) {
        try {
          return await topic.hold(HOLDER, position, { timeoutMs: 5_000 });
        } catch (error) {
          if (!VarlogError.is(error)) throw error;
          must(
            error.code !== 'TRIMMED' || position === 0,
            `what is held is gone: ${error.message}`,
          );
          if (error.code === 'TRIMMED') position = (await topic.watermarks()).first - 1;
          await sleep(ports.clock, 100);
        }
      }
    };
    await hold();
    while (!this.over) {
      await sleep(ports.clock, ports.random.below(6_000));
      if (this.over) break;
      try {
        const { last } = await topic.watermarks({ timeoutMs: 5_000 });
        if (last <= position) continue;
        const to = Math.min(last, position + 1 + ports.random.below(400));
        for await (const { glsn } of topic.read({ from: position + 1, to })) {
          must(glsn === position + 1, `GLSN ${glsn} comes after ${position}`);
          position = glsn;
        }
      } catch (error) {
        if (!VarlogError.is(error)) throw error;
        must(error.code !== 'TRIMMED', `what is held is gone: ${error.message}`);
      }
      await hold();
    }
    // Its place is in nobody's way any more, or stays.
    if (ports.random.below(2) === 0) {
      while (!(await this.released(topic))) await sleep(ports.clock, 500);
    }
    await varlog.close();
  }

  private async released(topic: { release(holder: string): Promise<void> }): Promise<boolean> {
    try {
      await topic.release(HOLDER);
      return true;
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      return error.code === 'NOT_FOUND';
    }
  }

  /** Looks at every member all the time. */
  private async observe({ clock }: Ports): Promise<void> {
    while (!this.isDone) {
      await sleep(clock, 50);
      for (const name of NODES) {
        const topic = this.rolesOf(name)?.repository?.metadata.topics.get(this.topicId);
        if (topic === undefined) continue;
        for (const { holder, position } of topic.holds) {
          must(
            topic.trimmed <= position,
            `${topic.trimmed} is trimmed, and "${holder}" is at ${position}`,
          );
        }
        if (topic.trimmed > this.trimmed) this.wentUpTo(topic.trimmed);
      }
    }
  }

  /** What is gone now must be beyond a limit. */
  private wentUpTo(glsn: number): void {
    this.trimmed = glsn;
    const { bytes, ageMs } = this.retention;
    // Of those whose place is not known, any may be there.
    const kept = this.appended.filter((it) => it.glsn === undefined || it.glsn > glsn);
    const sum = kept.reduce((total, it) => total + it.bytes, 0);
    if (ageMs === undefined) this.sights.add('trimmed by bytes');
    if (bytes === undefined) this.sights.add('trimmed by age');
    if (bytes !== undefined && sum >= bytes) return;
    const since = this.world.nowMs - (ageMs ?? Number.POSITIVE_INFINITY) + TOLERANCE_MS;
    const young = this.appended.find((it) => (it.glsn ?? Infinity) <= glsn && it.begunMs > since);
    must(
      ageMs !== undefined && young === undefined,
      `trimmed up to ${glsn}: ${sum} bytes are left of ${bytes}, and one that is gone is ${this.world.nowMs - (young?.begunMs ?? 0)} ms old, not ${ageMs}`,
    );
  }

  private async checkEnd(ports: Ports): Promise<void> {
    const varlog = await connect(ports);
    const topic = varlog.topic(this.topicId);
    const { holds, retention } = await topic.describe();
    must(JSON.stringify(retention) === JSON.stringify(this.retention), 'the retention is another');
    const usage = await topic.usage();
    const { first, last } = await topic.watermarks();
    let bytes = 0;
    let records = 0;
    if (first <= last) {
      for await (const batch of topic.read({ from: first, to: last }).batches()) {
        bytes += FRAME_BYTES + batch.bytes.length;
        records += batch.count;
      }
    }
    must(records === last + 1 - first, `${records} records are left from ${first} to ${last}`);
    const held = Math.min(...holds.map(({ position }) => position));
    must(first - 1 <= held, 'what is held is gone');
    // Some is known by its share of a file only.
    must(
      Math.abs(usage.bytes - bytes) <= LOG_STREAMS * SEGMENT_BYTES,
      `${usage.bytes} of ${bytes}`,
    );
    if (usage.expired > held) this.sights.add('stopped by a hold');
    if (first - 1 === held) return varlog.close();
    const { retention: limits } = this;
    const slack = (2 * LOG_STREAMS + 1) * SEGMENT_BYTES;
    must(bytes <= (limits.bytes ?? Infinity) + slack, `${bytes} bytes are left of ${limits.bytes}`);
    // Long after the last record was appended.
    if (limits.ageMs !== undefined) must(first === last + 1, `${records} records are left`);
    else if (first > 1)
      must(
        bytes >= limits.bytes!,
        `only ${bytes} bytes are left of ${limits.bytes}, from ${first} to ${last}: ${JSON.stringify(usage)}`,
      );
    await varlog.close();
  }

  /** What some member or replica has otherwise than the others. */
  private disagreement(): string | undefined {
    const members = NODES.map((name) => this.rolesOf(name)?.repository?.metadata);
    const topics = members.map((it) => it?.topics.get(this.topicId));
    const trimmed = topics[0]?.trimmed;
    if (topics.some((it) => it?.trimmed !== trimmed)) return 'members differ';
    for (const id of topics[0]!.logStreams) {
      for (const node of members[0]!.logStreams.get(id)!.replicas) {
        const name = NODES[node - 1]!;
        const replica = this.rolesOf(name)?.storageNode?.replicas.get(id);
        if (replica === undefined) return `${name} has no replica of log stream ${id}`;
        if (replica.failure !== undefined) return `${name}: ${replica.failure.message}`;
        if (replica.storage.state.trimmedGlsn !== trimmed) {
          return `the replica of log stream ${id} on ${name} begins after ${replica.storage.state.trimmedGlsn}, not ${trimmed}`;
        }
        const files = this.world
          .disk(name)
          .files()
          .filter(({ path }) => path.includes(`replicas/${id}/records/`) && /segment$/.test(path));
        // A file is freed as a whole, and is full to within one batch.
        const most = Math.ceil(this.liveBytes(trimmed!) / FULL_BYTES) + 3;
        if (files.length > most) return `${name} has ${files.length} files of ${id}, not ${most}`;
      }
    }
    return undefined;
  }

  /** At most so many bytes are after a position. */
  private liveBytes(trimmed: number): number {
    return this.appended
      .filter((it) => it.glsn === undefined || it.glsn > trimmed)
      .reduce((sum, it) => sum + it.bytes, 0);
  }

  private rolesOf(name: string): NodeRoles | undefined {
    return this.world.process(name) as NodeRoles | undefined;
  }
}

function start(ports: Ports, name: string): Promise<NodeRoles> {
  return startRoles({
    ports,
    clusterId: 1,
    nodeId: NODES.indexOf(name) + 1,
    address: `${name}:9092`,
    members: endpoints.map((address, i) => ({ id: i + 1, address })),
    metadata: { directory: 'metadata', replicationFactor: NODES.length },
    storage: {
      directory: 'storage',
      writeAhead: drawWriteAhead(ports.random),
      segmentBytes: SEGMENT_BYTES,
    },
  });
}
