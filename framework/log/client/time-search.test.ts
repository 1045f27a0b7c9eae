import fc from 'fast-check';
import { VarlogError } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type Entry, type From, type Topic, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(layout: number[][]): Promise<{ cluster: FakeCluster; topic: Topic }> {
  const cluster = await FakeCluster.start(ports.network, layout);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  return { cluster, topic: varlog.topic(1) };
}

async function positions(entries: AsyncIterable<Entry>, count = Infinity): Promise<number[]> {
  const found: number[] = [];
  for await (const { glsn } of entries) {
    found.push(glsn);
    if (found.length === count) break;
  }
  return found;
}

const batches = fc.array(
  fc.record({
    logStream: fc.integer({ min: 1, max: 3 }),
    later: fc.nat(30),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 25 },
);

test('gives of each log stream what was taken at a time or later, in the order of the topic', async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.nat(200), fc.nat(), async (given, time, trim) => {
      const { cluster, topic } = await start([[1], [2], [1]]);
      // The clocks of primaries differ.
      const clocks = [0, 0, 40, 90];
      const times: number[] = [];
      const last = new Map<number, number>();
      for (const { logStream, later, count } of given) {
        const timestamp = (last.get(logStream) ?? clocks[logStream]!) + later;
        last.set(logStream, timestamp);
        const texts = Array.from({ length: count }, () => 'a record');
        const first = cluster.commit(logStream, texts, timestamp);
        for (let i = 0; i < count; i++) times[first + i] = timestamp;
      }
      cluster.trimmed = trim % (cluster.highWatermark + 1);
      const wanted = [...times.keys()].filter(
        (it) => it > cluster.trimmed && (times[it] ?? -1) >= time,
      );
      const from: From = { time };
      expect(await positions(topic.read({ from }))).toEqual(wanted);
      expect(await positions(topic.read$({ from: { time: new Date(time) } }))).toEqual(wanted);
      const tail = topic.tail({ from });
      const taken = positions(tail);
      await tail.caughtUp();
      const next = cluster.commit(1, ['the next']);
      await tail.reached(next);
      tail.close();
      expect(await taken).toEqual([...wanted, next]);
      for (const close of closers.splice(0).reverse()) await close();
    }),
    { numRuns: 25 },
  );
}, 60_000);

test('whoever has dealt with the last record that is given has caught up', async () => {
  const { cluster, topic } = await start([[1], [2]]);
  cluster.commit(1, ['a', 'b'], 100);
  cluster.commit(2, ['too old'], 50);
  const tail = topic.tail({ from: { time: 100 } });
  const taken = positions(tail);
  await tail.caughtUp();
  tail.close();
  expect(await taken).toEqual([1, 2]);
});

test('what is left out after the last record was dealt with, has been dealt with too', async () => {
  const { cluster, topic } = await start([[1], [2]]);
  cluster.commit(1, ['a'], 100);
  cluster.commit(2, ['too old'], 50);
  let isBroken = true;
  cluster.beforeReadMessage = (node) => {
    if (node === 2 && isBroken) throw new VarlogError('UNAVAILABLE', { what: 'not yet' });
  };
  const tail = topic.tail({ from: { time: 100 } });
  const taken = positions(tail);
  await tail.reached(1);
  isBroken = false;
  await tail.reached(2);
  tail.close();
  expect(await taken).toEqual([1]);
});

test('a time in the future is the end', async () => {
  const { cluster, topic } = await start([[1]]);
  cluster.commit(1, ['a'], 100);
  const from = { time: ports.clock.wall() + 1e9 };
  expect(await positions(topic.read({ from }))).toEqual([]);
  const tail = topic.tail({ from });
  expect(await tail.ready()).toEqual({ start: 2 });
  cluster.commit(1, ['b'], 101);
  expect(await positions(tail, 1)).toEqual([2]);
});

test('asks another replica when one knows less than was acknowledged', async () => {
  const { cluster, topic } = await start([[1, 2, 3]]);
  cluster.commit(1, ['a', 'b'], 100);
  cluster.isDeaf = (node) => node !== 2;
  const read = topic.read({ from: { time: 100 } });
  expect(await read.ready()).toEqual({ start: 1 });
  expect(cluster.seeks.at(-1)).toBe(2);
  read.close();
});

test.each([Number.NaN, Infinity, 'now', undefined, null, new Date('never')])(
  'refuses %s as a time',
  async (time) => {
    const { topic } = await start([[1]]);
    for (const reads of ['read', 'tail', 'tail$'] as const) {
      expect(() => topic[reads]({ from: { time: time as number } })).toThrow(/INVALID_ARGUMENT/);
    }
  },
);
