import fc from 'fast-check';
import {
  type Clock,
  type MessageStream,
  type Network,
  noLogger,
  type Ports,
  type Timer,
} from '../../base/index.ts';
import { realRandom } from '../../runtime/index.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import {
  Hello,
  HistoryRequest,
  ReplicaReport,
  ReplicaReportState,
  SessionRequest,
  type SessionResponse,
} from '../../wire/gen/log.ts';
import { type CutEntry, Metadata } from '../core/index.ts';
import { StationHistograms } from '../station-histograms.ts';
import { LOG_TIMES } from '../timing.ts';
import { Orderer } from './orderer.ts';

/** A clock that stands still until it is moved on. */
class HandClock implements Clock {
  private time = 1_000;
  private timers: { at: number; ring: () => void }[] = [];
  private deferred: (() => void)[] = [];

  now = (): number => this.time;
  wall = (): number => this.time;

  after(ms: number, ring: () => void): Timer {
    const timer = { at: this.time + ms, ring };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((it) => it !== timer);
      },
    };
  }

  defer(run: () => void): void {
    this.deferred.push(run);
  }

  /** Runs what was deferred, once. */
  turn(): boolean {
    const ready = this.deferred.splice(0);
    for (const run of ready) run();
    return ready.length > 0;
  }

  /** Time passes with nothing being done: a stall. */
  stall(ms: number): void {
    this.time += ms;
    const ringing = this.timers.filter(({ at }) => at <= this.time);
    this.timers = this.timers.filter(({ at }) => at > this.time);
    for (const { ring } of ringing) ring();
  }
}

/** The other end of a link. */
class Node implements MessageStream<SessionResponse, SessionRequest> {
  readonly heard: SessionResponse[] = [];
  readonly closed = new Promise<void>(() => {});
  isCancelled = false;
  /** Whether it reads as fast as it is told. */
  accepts = true;
  private readonly waiting: (() => void)[] = [];

  send(message: SessionResponse): boolean {
    this.heard.push(message);
    return this.accepts;
  }

  writable(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async read(): Promise<void> {
    for (const resume of this.waiting.splice(0)) resume();
    await Promise.resolve();
    await Promise.resolve();
  }

  receive(): void {}
  end(): void {}
  cancel(): void {
    this.isCancelled = true;
  }
}

/** A leader of `streams` log streams of one topic, all open on storage node 1 (and on node 2 alone, on demand). */
function leading(
  streams: number,
  replicas: number[] = [1],
  lostLeader?: { address: string; silentMs: number },
) {
  const clock = new HandClock();
  const metadata = new Metadata();
  for (const id of [1, 2]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}`, disk: `disk ${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'all' });
  const disks = replicas.map((it) => `disk ${it}`);
  for (let id = 1; id <= streams; id++) {
    metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas });
    const opening = { id, epoch: 1, members: replicas, disks, primaryProcess: 'p' };
    metadata.apply({ kind: 'unseal', ...opening });
  }
  const disk = new SimulatedDisk({ random: realRandom });
  // Nobody answers: whether a process is gone is not known.
  const silent = { address: '', call: () => new Promise<never>(() => {}), close: () => {} };
  const network = { connect: () => silent } as unknown as Network;
  const ports: Ports = { clock, random: realRandom, disk, network, logger: noLogger };
  /** When processes were last heard by Raft. */
  const byRaft = new Map<string, number>();
  const orderer = new Orderer(metadata, ports, {
    cluster: () => 'cluster',
    execute: async () => 0,
    stations: new StationHistograms(['cut', 'raft']),
    lastHeardAt: (address) => byRaft.get(address) ?? Number.NEGATIVE_INFINITY,
    lostLeader,
  });
  const beat = (): void => {
    orderer.keepAlive();
    clock.after(LOG_TIMES.keepaliveMs, beat);
  };
  clock.after(LOG_TIMES.keepaliveMs, beat);
  const join = (id: number, address = `node-${id}`, hearsHeartbeats = false) => {
    const node = new Node();
    const disk = `disk ${id}`;
    const hello = Hello.create({
      storageNodeId: id,
      address,
      disk,
      incarnation: `p at ${address}`,
      hearsHeartbeats,
    });
    return { node, link: orderer.open(hello, node) };
  };
  const entries = (end: number): CutEntry[] =>
    Array.from({ length: streams }, (_, i) => {
      return { logStreamId: i + 1, epoch: 1, end, persistedVersion: 0 };
    });
  const cut = (end: number): void => {
    orderer.applied(metadata.apply({ kind: 'cut', entries: entries(end) }).changes);
  };
  return { clock, metadata, orderer: orderer, join, cut, byRaft };
}

test('what a process says that was taken for gone does not count', () => {
  const { orderer, join } = leading(1);
  const report = (end: number) =>
    SessionRequest.create({
      reports: [
        ReplicaReport.create({ logStreamId: 1, epoch: 1, end, state: ReplicaReportState.OPEN }),
      ],
    });
  const { link } = join(1);
  orderer.receive(link, report(3));
  orderer.closed(link);
  orderer.receive(link, report(5));
  expect([orderer.isUp(1), orderer.planner.reportOf(1, 1)?.end]).toEqual([false, 3]);
  const { link: next } = join(1);
  orderer.receive(link, report(6));
  orderer.receive(next, report(4));
  expect(orderer.planner.reportOf(1, 1)).toMatchObject({ end: 4, state: 'open' });
});

describe('a node that missed much', () => {
  test('is told of it in pieces, each when there is room, in order, and with everything that is new', async () => {
    const { clock, metadata, orderer, join, cut } = leading(12);
    for (let end = 1; end <= 3_000; end++) cut(end);
    const { node, link } = join(1);
    node.accepts = false;
    const history = [...metadata.logStreams.keys()].map((logStreamId) =>
      HistoryRequest.create({ logStreamId, fromVersion: 1 }),
    );
    orderer.receive(link, SessionRequest.create({ history }));
    cut(3_001);
    const before = node.heard.length;
    expect(before).toBeLessThanOrEqual(2);
    for (let i = 0; i < 200; i++) {
      if (i === 3) cut(3_002);
      await node.read();
      clock.turn();
    }
    const versions = new Map<number, number>();
    for (const { commits, watermarks } of node.heard) {
      expect(commits.length).toBeLessThanOrEqual(2_000);
      for (const { logStreamId, version } of commits) {
        expect(version).toBe((versions.get(logStreamId) ?? 0) + 1);
        versions.set(logStreamId, version);
      }
      // A watermark vouches for all that lies below it.
      for (const { highWatermark } of watermarks) {
        const received = [...versions.values()].reduce((a, b) => a + b, 0);
        expect(received).toBeGreaterThanOrEqual(highWatermark);
      }
    }
    expect([...versions.values()]).toEqual(Array(12).fill(3_002));
    expect(node.heard.at(-1)!.watermarks[0]!.highWatermark).toBe(12 * 3_002);
  });

  test('whatever it reads and when, it hears of every commit, in order, and of no watermark too early', async () => {
    const step = fc.oneof(
      fc.integer({ min: 1, max: 40 }).map((cuts) => ({ cuts })),
      fc.record({ ask: fc.integer({ min: 1, max: 3 }), back: fc.nat(20) }),
      fc.boolean().map((accepts) => ({ accepts })),
      fc.constant({ read: true }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, orderer, join, cut } = leading(3);
        const { node, link } = join(1);
        let end = 0;
        const ask = (logStreamId: number, fromVersion: number): void => {
          const history = [HistoryRequest.create({ logStreamId, fromVersion })];
          orderer.receive(link, SessionRequest.create({ history }));
        };
        for (const it of steps) {
          if ('cuts' in it) for (let i = 0; i < it.cuts; i++) cut(++end);
          // What it has it never lacks again, but it may not have it any more.
          if ('ask' in it) ask(it.ask, Math.max(1, nextOf(node, it.ask) - it.back));
          if ('accepts' in it) node.accepts = it.accepts;
          if ('read' in it) await node.read();
          clock.turn();
        }
        node.accepts = true;
        for (let i = 0; i < 20; i++) {
          await node.read();
          clock.turn();
        }
        const next = new Map<number, number>();
        for (const { commits, watermarks } of node.heard) {
          for (const { logStreamId, version } of commits) {
            const due = next.get(logStreamId) ?? 1;
            // Repeated where it asked; never with a gap.
            expect(version).toBeLessThanOrEqual(due);
            next.set(logStreamId, Math.max(due, version + 1));
          }
          const received = [1, 2, 3].reduce((sum, id) => sum + (next.get(id) ?? 1) - 1, 0);
          for (const { highWatermark } of watermarks) {
            expect(received).toBeGreaterThanOrEqual(highWatermark);
          }
        }
        expect([1, 2, 3].map((id) => next.get(id) ?? 1)).toEqual([end + 1, end + 1, end + 1]);
      }),
      { numRuns: 100 },
    );
  });
});

/** Version of the first commit of a log stream that the node has not heard. */
function nextOf({ heard }: Node, logStreamId: number): number {
  const commits = heard.flatMap((it) => it.commits).filter((it) => it.logStreamId === logStreamId);
  return commits.reduce((next, { version }) => Math.max(next, version + 1), 1);
}

test('what a cut costs grows with the log streams that have moved, not with their square', () => {
  const lookups = (streams: number): number => {
    const { metadata, join, cut } = leading(streams, [1, 2]);
    for (const id of [1, 2]) join(id);
    cut(1);
    const spy = jest.spyOn(metadata.logStreams, 'get');
    cut(2);
    return spy.mock.calls.length;
  };
  const [one, four] = [lookups(100), lookups(400)];
  expect(four).toBeLessThanOrEqual(4 * one + 10);
});

describe('silence', () => {
  const heartbeat = SessionRequest.create({});

  test('of a node that says nothing for a second ends its link', () => {
    const { clock, orderer, join } = leading(1);
    const { node, link } = join(1);
    for (let i = 0; i < 2; i++) clock.stall(LOG_TIMES.keepaliveMs);
    orderer.receive(link, heartbeat);
    for (let i = 0; i < 2; i++) clock.stall(LOG_TIMES.keepaliveMs);
    expect(node.isCancelled).toBe(false);
    clock.stall(LOG_TIMES.keepaliveMs);
    expect(node.isCancelled).toBe(true);
  });

  test.each([
    ['every other keepalive', true, 5],
    ['each keepalive where it does not say that it hears those of Raft', false, 10],
  ])('of a node that Raft hears is none: it hears %s', (_, hearsHeartbeats, told) => {
    const { clock, orderer, join, byRaft } = leading(1);
    const { node, link } = join(1, 'node-1', hearsHeartbeats);
    const before = node.heard.length;
    for (let beat = 0, heard = before; beat < 10; beat++) {
      byRaft.set('node-1', clock.now() + 1);
      clock.stall(LOG_TIMES.keepaliveMs);
      if (node.heard.length > heard) orderer.receive(link, heartbeat);
      heard = node.heard.length;
    }
    expect(node.heard.length - before).toBe(told);
    expect(node.isCancelled).toBe(false);
  });

  test.each([0, 1, 2, 3])(
    'of a link that hangs after %d answers ends it as soon as without Raft',
    (answers) => {
      const endsAfter = (hearsHeartbeats: boolean): number => {
        const { clock, orderer, join, byRaft } = leading(1);
        const { node, link } = join(1, 'node-1', hearsHeartbeats);
        let beats = 0;
        for (let heard = node.heard.length; !node.isCancelled && beats < 20; beats++) {
          byRaft.set('node-1', clock.now() + 1);
          clock.stall(LOG_TIMES.keepaliveMs);
          if (node.heard.length > heard && beats < answers) orderer.receive(link, heartbeat);
          heard = node.heard.length;
        }
        return beats;
      };
      expect(endsAfter(true)).toBeLessThanOrEqual(endsAfter(false));
    },
  );

  test('of a process that Raft misses too counts from when either of them heard it', () => {
    const { clock, orderer, join, byRaft } = leading(1);
    const { node, link } = join(1, 'node-1', true);
    orderer.receive(link, heartbeat);
    byRaft.set('node-1', clock.now() + 1);
    clock.stall(LOG_TIMES.keepaliveMs);
    byRaft.set('node-1', clock.now() + 1);
    for (let beat = 0; beat < 2; beat++) clock.stall(LOG_TIMES.keepaliveMs);
    expect(node.isCancelled).toBe(false);
    clock.stall(LOG_TIMES.keepaliveMs);
    expect(node.isCancelled).toBe(true);
  });

  test('of the leader before is that of the node in one process with it, until that one is back', () => {
    const { orderer, join } = leading(1, [1, 2], { address: 'node-1', silentMs: 900 });
    expect([orderer.unheardForMs(1), orderer.unheardForMs(2)]).toEqual([900, 0]);
    join(1);
    expect(orderer.unheardForMs(1)).toBe(0);
  });

  test('that is a stall of the leader itself ends none', () => {
    const { clock, orderer, join } = leading(1);
    const { node, link } = join(1);
    for (const stall of [3_000, 1_200, 60_000]) {
      clock.stall(stall);
      // What the node has sent meanwhile is read only now.
      orderer.receive(link, heartbeat);
      clock.stall(LOG_TIMES.keepaliveMs);
    }
    expect(node.isCancelled).toBe(false);
    for (let i = 0; i < 4; i++) clock.stall(LOG_TIMES.keepaliveMs);
    expect(node.isCancelled).toBe(true);
  });

  test('of a node that left is not made longer by a stall of the leader', () => {
    const { clock, orderer, join } = leading(1);
    const { link } = join(1);
    orderer.closed(link);
    clock.stall(100);
    expect(orderer.unheardForMs(1)).toBe(100);
    clock.stall(5_000);
    expect(orderer.unheardForMs(1)).toBeLessThan(500);
    clock.stall(LOG_TIMES.keepaliveMs);
    clock.stall(LOG_TIMES.keepaliveMs);
    expect(orderer.unheardForMs(1)).toBeGreaterThan(500);
  });
});

test('the repair hears of what it may have to act on, and nothing of what goes well', () => {
  const { orderer, join, cut } = leading(1);
  let repairTriggers = 0;
  orderer.repairTriggers$.subscribe(() => repairTriggers++);
  const heard = (act: () => void): boolean => {
    const before = repairTriggers;
    act();
    return repairTriggers > before;
  };
  let { link } = join(1);
  const say = (state: ReplicaReportState) => (): void => {
    const reports = [ReplicaReport.create({ logStreamId: 1, epoch: 1, state })];
    orderer.receive(link, SessionRequest.create({ reports }));
  };
  expect(heard(say(0))).toBe(false);
  expect(heard(() => orderer.receive(link, SessionRequest.create({})))).toBe(false);
  expect(heard(() => cut(1))).toBe(false);
  expect(heard(say(4))).toBe(true);
  // It goes on to learn.
  expect(heard(say(4))).toBe(false);
  expect(heard(say(1))).toBe(true);
  expect(heard(() => orderer.closed(link))).toBe(true);
  expect(heard(() => ({ link } = join(1)))).toBe(true);
});

test('a node that was unregistered has no link any more, and what it said is forgotten', () => {
  const { metadata, orderer, join } = leading(1);
  const { node } = join(2);
  orderer.applied(metadata.apply({ kind: 'unregisterStorageNode', id: 2 }).changes);
  expect(node.isCancelled).toBe(true);
  expect(orderer.processOf(2)).toBe('');
  expect(() => join(2)).toThrow(/unregistered/);
});

test('a node at the address of another one is refused while that one is up', () => {
  const { orderer, join } = leading(1);
  const { link } = join(1);
  expect(() => join(2, 'node-1')).toThrow(
    /node 2 .* at node-1, where storage node 1 is up.*--advertise/,
  );
  expect(orderer.isUp(1)).toBe(true);
  orderer.closed(link);
  // Its machine was given to this one.
  expect(() => join(2, 'node-1')).not.toThrow(/is up/);
});

test('of two processes that come as one node at once, the one that others are led to stays', () => {
  const { metadata, orderer, join } = leading(1);
  const { node } = join(1);
  const moved = { kind: 'registerStorageNode', id: 1, disk: 'disk 1', move: true } as const;
  // It was admitted before the other one was there.
  orderer.applied(metadata.apply({ ...moved, address: 'twin' }).changes);
  expect(node.isCancelled).toBe(true);
  expect(() => join(1)).toThrow('another process');
  expect(orderer.processOf(1)).toBe('');
  join(1, 'twin');
  expect(orderer.processOf(1)).toBe('p at twin');
});
