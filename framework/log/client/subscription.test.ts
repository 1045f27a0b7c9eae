import fc from 'fast-check';
import { VarlogError } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import {
  after,
  type Entry,
  type ResumeToken,
  type SubscriptionStatus,
  type Topic,
  Varlog,
} from './index.ts';
import { LogStreamCursor } from './log-stream-cursor.ts';

const network = new GrpcNetwork();
const ports = { clock: realClock(), random: realRandom, network };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  layout: number[][],
): Promise<{ cluster: FakeCluster; topic: Topic; varlog: Varlog }> {
  const cluster = await FakeCluster.start(network, layout);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  return { cluster, varlog, topic: varlog.topic(1) };
}

/** Commits `count` batches of one to three records, spread over the log streams. */
function fill(cluster: FakeCluster, count: number): void {
  const ids = [...cluster.streams.keys()];
  for (let i = 0; i < count; i++) {
    const size = 1 + ((i * 7) % 3);
    const texts = Array.from({ length: size }, (_, k) => `${cluster.highWatermark + 1 + k}`);
    cluster.commit(ids[(i * 5 + (i >> 2)) % ids.length]!, texts);
  }
}

async function collect(entries: AsyncIterable<Entry>, count = Infinity): Promise<Entry[]> {
  const found: Entry[] = [];
  if (count === 0) return found;
  for await (const entry of entries) {
    found.push(entry);
    if (found.length === count) break;
  }
  return found;
}

/** Each record once, in order, and its own text. */
function expectDense(entries: Entry[], from: number, to: number): void {
  expect(entries.map((it) => it.glsn)).toEqual(
    Array.from({ length: to - from + 1 }, (_, i) => from + i),
  );
  for (const it of entries) expect(it.text()).toBe(`${it.glsn}`);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('reading', () => {
  test('merges the log streams in the order of GLSNs', async () => {
    const { cluster, topic } = await start([[1], [2], [1]]);
    fill(cluster, 60);
    const entries = await collect(topic.read());
    expectDense(entries, 1, cluster.highWatermark);
    for (const logStream of [1, 2, 3]) {
      const llsns = entries.filter((it) => it.logStream === logStream).map((it) => it.llsn);
      expect(llsns).toEqual(llsns.map((_, i) => i + 1));
    }
  });

  test('gives any range exactly, also from and to the middle of a batch', async () => {
    const { cluster, topic } = await start([[1], [1]]);
    fill(cluster, 25);
    const last = cluster.highWatermark;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: last }), fc.nat(last), async (from, length) => {
        const to = Math.min(last, from + length);
        expectDense(await collect(topic.read({ from, to })), from, to);
      }),
      { numRuns: 40 },
    );
    await until(() => cluster.readsOpen === 0);
  });

  test('a record of many log streams is found without looking at all of them', async () => {
    const streams = 300;
    const { cluster, topic } = await start(Array.from({ length: streams }, () => [1]));
    fill(cluster, 10 * streams);
    const looks = jest.spyOn(LogStreamCursor.prototype, 'peek');
    expectDense(await collect(topic.read()), 1, cluster.highWatermark);
    expect(looks.mock.calls.length).toBeLessThan(10 * 10 * streams);
    looks.mockRestore();
  });

  test('an empty topic has an empty range', async () => {
    const { topic } = await start([[1]]);
    expect(await collect(topic.read())).toEqual([]);
    expect(await collect(topic.read({ from: 1 }))).toEqual([]);
  });

  test('in batches they are as they were appended', async () => {
    const { cluster, topic } = await start([[1], [1]]);
    cluster.commit(1, ['1', '2', '3']);
    cluster.commit(2, ['4']);
    const sizes: number[] = [];
    for await (const batch of topic.read({ from: 2 }).batches()) sizes.push(batch.count);
    expect(sizes).toEqual([2, 1]);
  });

  test('bad positions are refused with what to do', async () => {
    const { cluster, topic, varlog } = await start([[1]]);
    fill(cluster, 10);
    cluster.trimmed = 4;
    const last = cluster.highWatermark;
    expect(() => topic.read({ from: 0 })).toThrow(/POSITION_OUT_OF_RANGE/);
    expect(() => topic.tail({ from: 1.5 })).toThrow(/POSITION_OUT_OF_RANGE/);
    expect(() => topic.read({ from: 5, to: 3 })).toThrow(/INVALID_ARGUMENT/);
    expect(() => topic.tail$({ from: '3' as never })).toThrow(/INVALID_ARGUMENT/);
    expect(() => varlog.topic(0)).toThrow(/INVALID_ARGUMENT/);
    const trimmed = await failure(collect(topic.read({ from: 2 })));
    expect(trimmed).toMatchObject({
      code: 'TRIMMED',
      details: { requested: 2, firstAvailable: 5 },
    });
    const beyond = await failure(collect(topic.tail({ from: last + 2 })));
    expect(beyond).toMatchObject({ code: 'BEYOND_TAIL', details: { last } });
    expect(await failure(collect(topic.read({ to: last + 1 })))).toMatchObject({
      code: 'BEYOND_TAIL',
    });
    const unknown = await failure(collect(varlog.topic(9).read()));
    expect(unknown).toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    expectDense(await collect(topic.read({ from: 'start' })), 5, last);
  });

  test('is iterated once', async () => {
    const { topic } = await start([[1]]);
    const read = topic.read();
    await collect(read);
    expect(() => read.batches()).toThrow(/FAILED_PRECONDITION/);
  });
});

describe('following', () => {
  test('goes on with what is appended, from the end, from a position, behind one', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    fill(cluster, 20);
    const { highWatermark: before } = cluster;
    const tail = topic.tail();
    expect(await tail.ready()).toEqual({ start: before + 1 });
    const live = collect(tail, 20);
    const all = collect(topic.tail({ from: 'start' }), before + 20);
    const behind = collect(topic.tail({ from: after(5) }), before + 15);
    fill(cluster, 30);
    expectDense(await live, before + 1, before + 20);
    expectDense(await all, 1, before + 20);
    expectDense(await behind, 6, before + 20);
    await until(() => cluster.readsOpen === 0);
  });

  test('finds log streams that are added', async () => {
    const { cluster, topic } = await start([[1]]);
    fill(cluster, 3);
    const before = cluster.highWatermark;
    const found = collect(topic.tail({ from: 'start' }), before + 6);
    cluster.addLogStream(2, [1]);
    cluster.commit(2, [before + 1, before + 2].map(String));
    cluster.commit(1, [`${before + 3}`]);
    cluster.addLogStream(3, [1]);
    cluster.commit(3, [before + 4, before + 5, before + 6].map(String));
    expectDense(await found, 1, before + 6);
  });

  test('each record once, wherever the connections break', async () => {
    const { cluster, topic } = await start([
      [1, 2],
      [2, 1],
    ]);
    cluster.batchesPerMessage = 1;
    fill(cluster, 12);
    for (let cut = 1; cut <= 16; cut++) {
      let messages = 0;
      cluster.beforeReadMessage = () => {
        messages++;
        if (messages % cut === 0 && messages <= 6 * cut) {
          throw new VarlogError('UNAVAILABLE', { what: 'cut' });
        }
      };
      const from = 1 + (cut % 3);
      const last = cluster.highWatermark;
      const found = collect(topic.tail({ from }), last + 3 - from);
      cluster.commit(1 + (cut % 2), [`${last + 1}`, `${last + 2}`]);
      expectDense(await found, from, last + 2);
    }
    await until(() => cluster.readsOpen === 0);
  }, 30_000);

  test('outlives nodes that stop and start', async () => {
    const { cluster, topic } = await start([
      [1, 2],
      [2, 1],
    ]);
    const states: SubscriptionStatus['state'][] = [];
    const tail = topic.tail({ from: 'start' });
    tail.status$.subscribe((it) => states.push(it.state));
    const found = collect(tail, 60);
    fill(cluster, 10);
    await tail.caughtUp();
    await cluster.stopNode(1);
    fill(cluster, 10);
    await tail.caughtUp();
    await cluster.stopNode(2);
    fill(cluster, 10);
    await until(() => tail.status.state === 'reconnecting');
    await cluster.startNode(1);
    await tail.caughtUp();
    await cluster.startNode(2);
    fill(cluster, 20);
    expectDense(await found, 1, 60);
    expect(states[0]).toBe('connecting');
    expect(states).toContain('live');
    expect(states.at(-1)).toBe('closed');
  }, 20_000);

  test('leaves a replica that does not go on', async () => {
    const { cluster, topic } = await start([[1, 2], [3]]);
    let serving = 0;
    cluster.beforeReadMessage = (node, logStream) => {
      if (logStream === 1) serving = node;
    };
    fill(cluster, 4);
    const before = cluster.highWatermark;
    const tail = topic.tail({ from: 'start' });
    const found = collect(tail, before + 2);
    await tail.caughtUp();
    const deaf = serving;
    cluster.isDeaf = (node) => node === deaf;
    cluster.commit(1, [`${before + 1}`]);
    cluster.commit(2, [`${before + 2}`]);
    expectDense(await found, 1, before + 2);
    expect(serving).not.toBe(deaf);
  }, 20_000);

  test('is not disturbed by a trim behind it', async () => {
    const { cluster, topic } = await start([[1]]);
    fill(cluster, 6);
    const before = cluster.highWatermark;
    const tail = topic.tail({ from: 'start' });
    const found = collect(tail, before + 1);
    await tail.caughtUp();
    cluster.trimmed = before - 2;
    await cluster.stopNode(1);
    await cluster.startNode(1);
    cluster.commit(1, [`${before + 1}`]);
    expectDense(await found, 1, before + 1);
  });

  test('goes on without a log stream that was removed, unless records of it are missing', async () => {
    const { cluster, topic } = await start([[1], [1]]);
    cluster.commit(1, ['1']);
    cluster.commit(2, ['2']);
    const tail = topic.tail({ from: 'start' });
    const found = collect(tail, 3);
    await tail.caughtUp();
    cluster.streams.delete(2);
    await cluster.stopNode(1);
    await cluster.startNode(1);
    cluster.commit(1, ['3']);
    expectDense(await found, 1, 3);
    const lost = await failure(collect(topic.read()));
    expect(lost).toMatchObject({ code: 'LOG_STREAM_NOT_FOUND', details: { requested: 2 } });
  }, 40_000);

  test('says that the head was trimmed when it comes back too late', async () => {
    const { cluster, topic } = await start([[1]]);
    cluster.batchesPerMessage = 1;
    fill(cluster, 6);
    cluster.beforeReadMessage = () => {
      if (cluster.trimmed > 0 || cluster.bytesSent === 0) return;
      cluster.trimmed = 9;
      throw new VarlogError('UNAVAILABLE', { what: 'cut' });
    };
    const error = await failure(collect(topic.tail({ from: 'start' })));
    expect(error).toMatchObject({ code: 'TRIMMED', details: { firstAvailable: 10 } });
  });

  test('goes on at another connection although one log stream has had nothing since what was trimmed', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    const [one = 0, two = 0] = [...cluster.streams.keys()];
    cluster.commit(one, ['1']);
    for (const it of ['2', '3', '4', '5']) cluster.commit(two, [it]);
    const tail = topic.tail({ from: 'start' });
    const found = collect(tail, 6);
    await tail.caughtUp();
    cluster.trimmed = 4;
    await cluster.stopNode(1);
    await cluster.startNode(1);
    cluster.commit(one, ['6']);
    expect((await found).map((it) => it.text())).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  test('ends with an error when the topic is deleted or another cluster answers', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    fill(cluster, 4);
    const deleted = topic.tail({ from: 'start' });
    const first = failure(collect(deleted));
    await deleted.caughtUp();
    cluster.topicExists = false;
    await cluster.stopNode(1);
    expect(await first).toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    cluster.topicExists = true;
    await cluster.startNode(1);
    const other = topic.tail({ from: 'start' });
    const second = failure(collect(other));
    await other.caughtUp();
    cluster.clusterId = 8;
    await cluster.stopNode(1);
    expect(await second).toMatchObject({ code: 'CLUSTER_MISMATCH' });
    expect(other.status).toMatchObject({ state: 'closed', error: { code: 'CLUSTER_MISMATCH' } });
  }, 20_000);

  test('nobody is taken for a cluster that was made anew, at the same place under the same number', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    fill(cluster, 4);
    const tail = topic.tail({ from: 'start' });
    const seen = failure(collect(tail));
    await tail.caughtUp();
    cluster.cluster = 'remade';
    await cluster.stopNode(1);
    await cluster.startNode(1);
    const before = cluster.texts().length;
    fill(cluster, 40);
    const after = cluster.texts().length;
    expect(after).toBeGreaterThan(before);
    expect(await seen).toMatchObject({
      code: 'CLUSTER_MISMATCH',
      message: expect.stringMatching(/fake cluster.*remade|remade.*fake cluster/),
    });
    const append = failure(topic.append('a'));
    expect(await append).toMatchObject({ code: 'CLUSTER_MISMATCH', outcome: 'notAppended' });
    expect(cluster.texts()).toHaveLength(after);
  }, 20_000);

  test('goes on behind a resume token, which belongs to one topic of one cluster', async () => {
    const { cluster, topic, varlog } = await start([[1], [2]]);
    for (let i = 1; i <= 4; i++) cluster.commit(1 + (i % 2), [`${i}`]);
    const tokens: ResumeToken[] = [];
    for await (const it of topic.read()) tokens.push(it.resumeToken);
    const rest = [];
    for await (const it of topic.read({ from: tokens[1]! })) rest.push(it.glsn);
    expect(rest).toEqual([3, 4]);
    expect(() => varlog.topic(2).tail({ from: tokens[1]! })).toThrow(/of topic 1.*topic 2/);
    const foreign = tokens[1]!.replace('fake cluster', 'other') as ResumeToken;
    expect(() => topic.tail({ from: foreign })).toThrow(/CLUSTER_MISMATCH.*other.*fake cluster/);
    expect(() => topic.tail({ from: 'varlog:1' })).toThrow(/INVALID_ARGUMENT/);
  });

  test('a consumer that stands still stops the reading', async () => {
    const { cluster, topic } = await start([[1], [1]]);
    const record = new Uint8Array(64 * 1024 + 4);
    new DataView(record.buffer).setUint32(0, 64 * 1024, true);
    for (let i = 0; i < 1_000; i++) cluster.commitBatch(1 + (i % 2), 1, record);
    const tail = topic.tail({ from: 'start', bufferBytes: 1024 * 1024 });
    const iterator = tail[Symbol.asyncIterator]();
    await iterator.next();
    let before = -1;
    while (before !== cluster.bytesSent) {
      before = cluster.bytesSent;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(cluster.bytesSent).toBeLessThan(30 * 1024 * 1024);
    expectLength(await drain(iterator, 999), 999);
    await iterator.return?.();
    await until(() => cluster.readsOpen === 0);
  }, 30_000);

  test('however it is left, no call stays open', async () => {
    const { cluster, topic, varlog } = await start([[1], [2]]);
    fill(cluster, 10);
    const leave = new AbortController();
    const left = topic.tail({ from: 'start', signal: leave.signal });
    const aborted = collect(left);
    await left.caughtUp();
    expect(cluster.readsOpen).toBe(2);
    leave.abort();
    expect(await aborted).toHaveLength(cluster.highWatermark);
    await until(() => cluster.readsOpen === 0);

    const thrown = (async () => {
      for await (const entry of topic.tail({ from: 'start' })) throw new Error(entry.text());
    })();
    expect(await failure(thrown)).toMatchObject({ message: '1' });
    const reason = new Error('enough');
    const half = topic.read({ signal: AbortSignal.abort(reason) });
    expect(await failure(collect(half))).toBe(reason);
    await until(() => cluster.readsOpen === 0);

    const open = topic.tail();
    const ended = collect(open);
    await until(() => cluster.readsOpen === 2);
    await varlog.close();
    expect(await ended).toEqual([]);
    expect(open.status).toEqual({ state: 'closed' });
    await until(() => cluster.readsOpen === 0);
    expect(() => topic.tail()).toThrow(/CLOSED/);
    await varlog.close();
  });

  test('closing the client in the midst of a loop ends a tail at once, and fails a range', async () => {
    const { cluster, topic, varlog } = await start([[1], [2]]);
    fill(cluster, 10);
    const range = topic.read();
    const tail = topic.tail({ from: 'start' });
    const half = failure(
      (async () => {
        for await (const _ of range) await new Promise((resolve) => setTimeout(resolve, 5));
      })(),
    );
    let seen = 0;
    for await (const _ of tail) if (++seen === 2) await varlog.close();
    expect(seen).toBe(2);
    expect(tail.status).toEqual({ state: 'closed' });
    expect(await half).toMatchObject({ code: 'CLOSED' });
    expect(await failure(tail.caughtUp())).toMatchObject({ code: 'CLOSED' });
  });

  test('a range that has not begun when the client is closed does not look like an empty one', async () => {
    const { cluster, topic, varlog } = await start([[1]]);
    fill(cluster, 3);
    const [range, batches, tail] = [topic.read(), topic.read(), topic.tail()];
    await varlog.close();
    expect(await failure(collect(range))).toMatchObject({ code: 'CLOSED' });
    expect(await failure(batches.batches().next())).toMatchObject({ code: 'CLOSED' });
    expect(await collect(tail)).toEqual([]);
  });

  test('an idle subscription does nothing', async () => {
    const { cluster, topic } = await start([[1]]);
    const tail = topic.tail();
    const found = collect(tail, 1);
    await tail.ready();
    await until(() => tail.status.state === 'live');
    const { renewals, readsEver } = cluster;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(cluster).toMatchObject({ renewals, readsEver });
    cluster.commit(1, ['1']);
    expectDense(await found, 1, 1);
  });
});

async function drain(iterator: AsyncIterator<Entry>, count: number): Promise<number> {
  let found = 0;
  while (found < count && !(await iterator.next()).done) found++;
  return found;
}

function expectLength(found: number, expected: number): void {
  expect(found).toBe(expected);
}
