import { sleep, VarlogError } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type Entry, type Topic, Varlog } from './index.ts';

const network = new GrpcNetwork();
const ports = { clock: realClock(), random: realRandom, network };
let cluster: FakeCluster;
let varlog: Varlog;
let topic: Topic;

/** A topic of two log streams with the records "1" to "6", two by two. */
beforeEach(async () => {
  cluster = await FakeCluster.start(network, [[1], [2]]);
  varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  topic = varlog.topic(1);
  cluster.commit(1, ['1', '2']);
  cluster.commit(2, ['3', '4']);
  cluster.commit(1, ['5', '6']);
});
afterEach(async () => {
  await varlog.close();
  await cluster.close();
});

/** Takes entries until it fails: their texts, and the error. */
async function taken(entries: AsyncIterable<Entry>, onEach: (text: string) => void = () => {}) {
  const texts: string[] = [];
  try {
    for await (const entry of entries) {
      texts.push(entry.text());
      onEach(entry.text());
    }
  } catch (error) {
    return { texts, error };
  }
  return { texts, error: undefined };
}

test('records whose log stream was removed are missed, not passed over', async () => {
  cluster.streams.delete(2);
  const { texts, error } = await taken(topic.read());
  expect(texts).toEqual(['1', '2']);
  expect(error).toMatchObject({ code: 'LOG_STREAM_NOT_FOUND', details: { requested: 3 } });
}, 60_000);

test('a topic that ends before what was read from it is another one: nobody waits for it to grow', async () => {
  const { texts, error } = await taken(topic.tail({ from: 'start' }), (text) => {
    if (text !== '6') return;
    cluster.streams.get(1)!.batches.length = 1;
    cluster.streams.get(2)!.batches.length = 0;
    cluster.highWatermark = 2;
  });
  expect(texts).toEqual(['1', '2', '3', '4', '5', '6']);
  expect(error).toMatchObject({
    code: 'BEYOND_TAIL',
    message: expect.stringContaining('made anew'),
    details: { requested: 7, last: 2 },
  });
}, 60_000);

test.each(['read', 'tail'] as const)(
  'a %s of records that two log streams claim ends with what is wrong, and harms nothing else',
  async (way) => {
    // As where a copy of the cluster runs beside it, and went on differently.
    const [first] = cluster.streams.get(1)!.batches;
    cluster.streams.get(2)!.batches.unshift({ ...first!, llsn: 1 });
    cluster.streams.get(2)!.batches[1]!.llsn = 3;
    const { error } = await taken(way === 'read' ? topic.read() : topic.tail({ from: 'start' }));
    expect(error).toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/record 1 of topic 1 .*another log stream.*stop the copy/),
    });
    cluster.streams.get(2)!.batches.shift();
    const { texts } = await taken(topic.read());
    expect(texts).toEqual(['1', '2', '3', '4', '5', '6']);
  },
  60_000,
);

describe('a log stream of which no copy can be read', () => {
  const damage = (): void => {
    cluster.beforeReadMessage = (_, logStream) => {
      if (logStream !== 2) return;
      throw new VarlogError('UNAVAILABLE', { what: 'log stream 2 serves nothing: it is damaged' });
    };
  };

  test('ends a read, which says why, and a tail waits for it, which says why', async () => {
    damage();
    const { texts, error } = await taken(topic.read({ timeoutMs: 500 }));
    expect(texts).toEqual(['1', '2']);
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/record 3 of topic 1 .*log stream 2 serves nothing/),
      cause: { code: 'UNAVAILABLE' },
    });
    const tail = topic.tail({ from: 'start' });
    const causes: unknown[] = [];
    tail.status$.subscribe((it) => {
      if (it.state !== 'reconnecting') return;
      causes.push(it.cause);
      if (causes.length === 3) cluster.beforeReadMessage = () => {};
    });
    const all: string[] = [];
    for await (const entry of tail) {
      all.push(entry.text());
      if (all.length === 6) break;
    }
    expect(all).toEqual(['1', '2', '3', '4', '5', '6']);
    for (const it of causes) expect(String(it)).toContain('log stream 2 serves nothing');
  }, 60_000);

  test('keeps no record from being read that lies elsewhere, nor a consumer from taking its time', async () => {
    damage();
    expect(await taken(topic.read({ to: 2, timeoutMs: 500 }))).toEqual({
      texts: ['1', '2'],
      error: undefined,
    });
    const slow = topic.read({ timeoutMs: 500 })[Symbol.asyncIterator]();
    await slow.next();
    await sleep(ports.clock, 1_500);
    cluster.beforeReadMessage = () => {};
    const rest: string[] = [];
    for (let it = await slow.next(); it.done !== true; it = await slow.next()) {
      rest.push(it.value.text());
    }
    expect(rest).toEqual(['2', '3', '4', '5', '6']);
  }, 60_000);

  test('ends a read since a time, which says why', async () => {
    await cluster.stopNode(2);
    const { error } = await taken(topic.read({ from: { time: 1 }, timeoutMs: 500 }));
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('since a time was not found within 500 ms'),
      cause: expect.any(VarlogError),
    });
  }, 60_000);
});

test('a replica that skips a record of its own is not believed', async () => {
  const [, last] = cluster.streams.get(1)!.batches;
  last!.llsn++;
  const { texts, error } = await taken(topic.read());
  expect(texts).toEqual(['1', '2', '3', '4'].slice(0, texts.length));
  expect(error).toMatchObject({
    code: 'CORRUPT',
    message: expect.stringContaining('sent LLSN 4 where 3 was due'),
  });
}, 60_000);
