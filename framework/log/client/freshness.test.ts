import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type ReadOptions, type Topic, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  layout: number[][],
): Promise<{ cluster: FakeCluster; varlog: Varlog; topic: Topic }> {
  const cluster = await FakeCluster.start(ports.network, layout);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  for (let i = 1; i <= 10; i++) cluster.commit(1 + (i % layout.length), [`${i}`]);
  return { cluster, varlog, topic: varlog.topic(1) };
}

async function glsnsOf(topic: Topic, options: ReadOptions): Promise<number[]> {
  const glsns: number[] = [];
  for await (const { glsn } of topic.read(options)) glsns.push(glsn);
  return glsns;
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

describe('a read that need not be linearizable', () => {
  test('asks replicas of all log streams in turn, backups too, and never the metadata repository', async () => {
    const { cluster, topic } = await start([
      [1, 2, 3],
      [2, 3, 1],
    ]);
    await glsnsOf(topic, {});
    const { tails } = cluster;
    for (let i = 0; i < 40; i++) expect(await glsnsOf(topic, { atLeast: 10 })).toEqual(upTo(10));
    expect(await glsnsOf(topic, { consistency: 'stale' })).toEqual(upTo(10));
    expect(cluster.tails).toBe(tails);
    expect(new Set(cluster.extents)).toEqual(new Set([1, 2, 3]));
  });

  test('waits for what it names, and ends where the replica has come to', async () => {
    const { cluster, topic } = await start([[1]]);
    const reading = glsnsOf(topic, { from: 3, atLeast: 12 });
    const named = glsnsOf(topic, { from: 12, to: 13, consistency: 'stale' });
    while (cluster.extents.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    cluster.commit(1, ['11']);
    cluster.commit(1, ['12', '13']);
    expect(await reading).toEqual(upTo(13).slice(2));
    expect(await named).toEqual([12, 13]);
  });

  test('leaves a replica that lags for another one', async () => {
    const { cluster, topic } = await start([[1, 2]]);
    cluster.isDeaf = (node) => node === 1;
    for (let i = 0; i < 4; i++) expect(await glsnsOf(topic, { atLeast: 10 })).toEqual(upTo(10));
  });

  test('asks the metadata repository where storage nodes are of an older version', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    cluster.knowsExtents = false;
    const { tails } = cluster;
    expect(await glsnsOf(topic, { atLeast: 10 })).toEqual(upTo(10));
    expect(cluster.tails).toBeGreaterThan(tails);
    await expect(glsnsOf(topic, { atLeast: 11, timeoutMs: 100 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/position 11.*longer than 100 ms/),
    });
  });

  test('says that there is no such topic', async () => {
    const { varlog } = await start([[1]]);
    await expect(glsnsOf(varlog.topic(9), { atLeast: 1 })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
  });
});
