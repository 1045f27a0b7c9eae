import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type Topic, Varlog } from './index.ts';

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

describe('an append that expects something', () => {
  test('goes as what an older node takes for an empty batch, and then says so', async () => {
    const { cluster, topic } = await start([[1]]);
    cluster.appendFault = (batch) =>
      batch.count > 0 ? undefined : { kind: 'refuse', code: 'EMPTY_BATCH', outcome: 'notAppended' };
    await topic.append('a');
    await expect(topic.append('b', { expect: { fence: 1 } })).rejects.toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', outcome: 'notAppended' },
      message: expect.stringContaining('upgrade all storage nodes'),
    });
    expect(cluster.texts()).toEqual(['a']);
  });

  test('is refused where it names something that is misspelt, beside something that holds', async () => {
    const { cluster, topic } = await start([[1]]);
    const version = { key: 'a', version: 0, verison: 1 };
    for (const expect_ of [
      { tail: 0, fnce: 1 },
      { tail: 0, stream: version },
    ]) {
      await expect(topic.append('a', { expect: expect_ })).rejects.toMatchObject({
        ...{ code: 'INVALID_ARGUMENT', outcome: 'notAppended' },
        message: expect.stringMatching(/no option "(fnce|verison)" of expect/),
      });
    }
    expect(cluster.texts()).toEqual([]);
  });

  test('of one log stream must name it where there are several', async () => {
    const { cluster, topic } = await start([[1], [1]]);
    for (const expect_ of [{ tail: 0 }, { stream: { key: 'a', version: 0 } }]) {
      await expect(topic.append('a', { expect: expect_ })).rejects.toMatchObject({
        ...{ code: 'INVALID_ARGUMENT', outcome: 'notAppended' },
        message: expect.stringContaining('name it with logStream'),
      });
    }
    await topic.append('b', { logStream: 2, expect: { tail: 0 } }).catch(() => {});
    expect(cluster.streams.get(1)!.batches).toEqual([]);
  });

  test('is not repeated when its outcome is not known, and not said to be refused', async () => {
    const { cluster, topic } = await start([[1]]);
    cluster.appendFault = () => ({ kind: 'storeAndBreak' });
    await expect(topic.append('a', { expect: { tail: 0 } })).rejects.toMatchObject({
      ...{ code: 'APPEND_UNKNOWN', outcome: 'unknown' },
    });
  });
});
