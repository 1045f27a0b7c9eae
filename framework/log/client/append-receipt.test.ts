import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test('what a node of an older version does not tell is named as not measured', async () => {
  const cluster = await FakeCluster.start(ports.network, [[1]]);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  const { receipt } = await varlog.topic(1).append('a', { receipt: true });
  const { total, clientQueue, other, ...parts } = receipt!;
  expect(clientQueue + other).toBeCloseTo(total, 6);
  expect(other).toBeGreaterThan(0);
  expect(new Set(Object.values(parts))).toEqual(new Set([0]));
});

test('a try that certainly failed counts as time in the client', async () => {
  const cluster = await FakeCluster.start(ports.network, [[1]]);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  const came: number[] = [];
  cluster.appendFault = () => {
    const tries = came.push(ports.clock.now());
    return tries > 3 ? undefined : { kind: 'refuse', code: 'SEALED', outcome: 'notAppended' };
  };
  const { receipt } = await varlog.topic(1).append('a', { receipt: true });
  expect(receipt!.clientQueue).toBeGreaterThanOrEqual(came[2]! - came[0]!);
});

test('who listens hears of each append with its receipt, or how it failed', async () => {
  const cluster = await FakeCluster.start(ports.network, [[1]]);
  closers.push(() => cluster.close());
  const heard: [string, object, unknown][] = [];
  let listens = true;
  const tracing = {
    listens: () => listens,
    trace: async <T>(operation: string, facts: object, work: () => Promise<T>): Promise<T> => {
      const result = await work().catch((error: unknown) => {
        heard.push([operation, facts, error]);
        throw error;
      });
      heard.push([operation, facts, result]);
      return result;
    },
  };
  const varlog = await Varlog.connect({
    ports: { ...ports, tracing },
    endpoints: cluster.endpoint,
  });
  closers.push(() => varlog.close());
  const topic = varlog.topic(1);
  await topic.append('a');
  await topic.append([]).catch(() => {});
  listens = false;
  expect('receipt' in (await topic.append('b'))).toBe(false);
  expect(heard).toEqual([
    ['append', { topic: 1 }, expect.objectContaining({ glsn: 1, receipt: expect.anything() })],
    ['append', { topic: 1 }, expect.objectContaining({ code: 'EMPTY_BATCH' })],
  ]);
});
