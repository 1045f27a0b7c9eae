import fc from 'fast-check';
import { VarlogError } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const NODES = 3;

type Step =
  | { kind: 'commit'; logStream: number; records: number }
  | { kind: 'stop' | 'start'; node: number }
  | { kind: 'cut'; messages: number }
  | { kind: 'addLogStream'; node: number }
  | { kind: 'move'; logStream: number; node: number }
  | { kind: 'pause' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      logStream: fc.nat(7),
      records: fc.integer({ min: 1, max: 4 }),
    }),
  },
  fc.record({ kind: fc.constantFrom('stop' as const, 'start' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('cut' as const), messages: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('addLogStream' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('move' as const), logStream: fc.nat(7), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('pause' as const) }),
);

class Walk {
  readonly cluster: FakeCluster;
  private readonly stopped = new Set<number>();
  private cut = 0;

  constructor(cluster: FakeCluster) {
    this.cluster = cluster;
    cluster.batchesPerMessage = 2;
    cluster.beforeReadMessage = () => {
      this.cut--;
      if (this.cut === 0) throw new VarlogError('UNAVAILABLE', { what: 'cut' });
    };
  }

  async take(step: Step): Promise<void> {
    const { cluster } = this;
    const { size } = cluster.streams;
    if (step.kind === 'commit') {
      const texts = Array.from(
        { length: step.records },
        (_, i) => `${cluster.highWatermark + 1 + i}`,
      );
      cluster.commit(1 + (step.logStream % size), texts);
    } else if (step.kind === 'stop') {
      await cluster.stopNode(1 + step.node);
      this.stopped.add(1 + step.node);
    } else if (step.kind === 'start') {
      if (this.stopped.delete(1 + step.node)) await cluster.startNode(1 + step.node);
    } else if (step.kind === 'cut') {
      this.cut = step.messages;
    } else if (step.kind === 'addLogStream') {
      if (size < 8) cluster.addLogStream(size + 1, [1 + step.node]);
    } else if (step.kind === 'move') {
      cluster.streams.get(1 + (step.logStream % size))!.replicas = [1 + step.node];
    } else {
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  async heal(): Promise<void> {
    this.cut = 0;
    for (const node of this.stopped) await this.cluster.startNode(node);
    this.stopped.clear();
  }
}

test('through any course of events a subscriber gets each record once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.array(step, { maxLength: 30 }),
      async (before, during) => {
        const cluster = await FakeCluster.start(ports.network, [[1, 2], [2, 3], [3]]);
        const walk = new Walk(cluster);
        const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
        try {
          for (const it of before) await walk.take(it);
          const tail = varlog.topic(1).tail({ from: 'start', bufferBytes: 64 });
          const seen: number[] = [];
          const following = (async () => {
            for await (const entry of tail) {
              expect(entry.text()).toBe(`${entry.glsn}`);
              seen.push(entry.glsn);
            }
          })();
          for (const it of during) await walk.take(it);
          await walk.heal();
          await Promise.race([tail.caughtUp(), following]);
          tail.close();
          await following;
          expect(seen).toEqual(Array.from({ length: cluster.highWatermark }, (_, i) => i + 1));
        } finally {
          await varlog.close();
          await cluster.close();
        }
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 25_000 },
  );
}, 60_000);
