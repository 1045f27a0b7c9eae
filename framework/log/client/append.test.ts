import { type Clock, handler, VarlogError } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { ManualClock } from '../../testing/manual-clock.ts';
import { Ordering } from '../../wire/gen/log.ts';
import { type AppendFault, FakeCluster } from './fake-cluster.fixture.ts';
import { type AppenderLimits, type Topic, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  layout: number[][],
  appends: AppenderLimits = {},
  clock: Clock = ports.clock,
): Promise<{ cluster: FakeCluster; topic: Topic; varlog: Varlog }> {
  const cluster = await FakeCluster.start(ports.network, layout);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({
    ports: { ...ports, clock },
    endpoints: cluster.endpoint,
    appends,
  });
  closers.push(() => varlog.close());
  return { cluster, varlog, topic: varlog.topic(1) };
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

const refusal = (code: string): AppendFault => ({ kind: 'refuse', code, outcome: 'notAppended' });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('an append', () => {
  test('tells where the batch is, and uses all log streams in turn', async () => {
    const { cluster, topic } = await start([[1], [2], [1]]);
    const acks = [];
    for (let i = 0; i < 6; i++) acks.push(await topic.append([`${i}`, Buffer.from('x')]));
    expect(acks.map((it) => it.glsn)).toEqual([1, 3, 5, 7, 9, 11]);
    expect(acks.map((it) => it.count)).toEqual([2, 2, 2, 2, 2, 2]);
    expect(acks.slice(3).map((it) => [it.logStream, it.llsn])).toEqual(
      acks.slice(0, 3).map((it) => [it.logStream, 3]),
    );
    expect(new Set(acks.map((it) => it.logStream)).size).toBe(3);
    expect(cluster.texts().filter((it) => it !== 'x')).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('is not sent when headers make it too large', async () => {
    const { cluster, topic } = await start([[1]]);
    const headers = { large: new Uint8Array(4 * 1024 * 1024) };
    expect(await failure(topic.append('a', { headers }))).toMatchObject({
      code: 'ENTRY_TOO_LARGE',
      outcome: 'notAppended',
    });
    expect(cluster.texts()).toEqual([]);
  });

  test('with a key or headers says that a node is too old for them, and only then', async () => {
    const { cluster, topic } = await start([[1]]);
    const what = 'a batch of 28 bytes does not hold the 1 records it announces';
    cluster.appendFault = () => ({ ...refusal('INVALID_ARGUMENT'), what }) as AppendFault;
    expect(await failure(topic.append('a', { key: 'k' }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      outcome: 'notAppended',
      message: expect.stringContaining('upgrade all storage nodes'),
    });
    expect(await failure(topic.append('a'))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('goes to the chosen log stream', async () => {
    const { topic } = await start([[1], [2]]);
    for (let i = 1; i <= 4; i++) {
      expect(await topic.append('a', { logStream: 2 })).toMatchObject({ logStream: 2, llsn: i });
    }
    const missing = await failure(topic.append('a', { logStream: 9 }));
    expect(missing).toMatchObject({ code: 'LOG_STREAM_NOT_FOUND', outcome: 'notAppended' });
  });

  test.each<[unknown, string]>([
    [[], 'EMPTY_BATCH'],
    [42, 'INVALID_ARGUMENT'],
    [null, 'INVALID_ARGUMENT'],
    [['a', { b: 1 }], 'INVALID_ARGUMENT'],
    [new Uint8Array(1024 * 1024 + 1), 'ENTRY_TOO_LARGE'],
    [Array.from({ length: 5 }, () => new Uint8Array(1024 * 1024)), 'ENTRY_TOO_LARGE'],
  ])('refuses bad input before anything is sent', async (input, code) => {
    const { cluster, topic } = await start([[1]]);
    const error = await failure(topic.append(input as string));
    expect(error).toMatchObject({ code, outcome: 'notAppended', retryable: false });
    expect((error as Error).message).toMatch(/; \w/);
    expect(cluster.highWatermark).toBe(0);
  });

  test('keeps what it was given, whatever the caller does with it afterwards', async () => {
    const { cluster, topic } = await start([[1]]);
    const bytes = Buffer.from('before');
    const append = topic.append(bytes);
    bytes.write('after!');
    await append;
    expect(cluster.texts()).toEqual(['before']);
  });

  test.each(['SEALED', 'NOT_PRIMARY', 'RESOURCE_EXHAUSTED', 'LOG_STREAM_NOT_FOUND'])(
    'that was refused with %s goes to another log stream',
    async (code) => {
      const { cluster, topic } = await start([[1], [2]]);
      cluster.appendFault = (batch) => (batch.logStreamId === 1 ? refusal(code) : undefined);
      const acks = await Promise.all(Array.from({ length: 10 }, (_, i) => topic.append(`${i}`)));
      expect(new Set(acks.map((it) => it.logStream))).toEqual(new Set([2]));
      expect(cluster.texts().sort()).toEqual(acks.map((_, i) => `${i}`));
    },
  );

  test('follows a chosen log stream to its new primary', async () => {
    const { cluster, topic } = await start([[1, 2]]);
    await topic.append('a', { logStream: 1 });
    const stream = cluster.streams.get(1)!;
    stream.sealed = true;
    const waiting = topic.append('b', { logStream: 1 });
    await until(() => cluster.renewals > 2);
    stream.replicas = [2, 1];
    stream.sealed = false;
    expect(await waiting).toMatchObject({ glsn: 2, logStream: 1 });
  });

  test('to a node that is down goes elsewhere, or waits for it', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    await cluster.stopNode(1);
    for (let i = 0; i < 4; i++) expect(await topic.append('a')).toMatchObject({ logStream: 2 });
    const waiting = topic.append('b', { logStream: 1 });
    await cluster.startNode(1);
    expect(await waiting).toMatchObject({ logStream: 1, llsn: 1 });
  });

  test('whose connection breaks is not sent again: it may be in the log', async () => {
    const { cluster, topic } = await start([[1]]);
    for (const [kind, texts] of [
      ['break', []],
      ['storeAndBreak', ['b']],
    ] as const) {
      cluster.appendFault = () => ({ kind });
      const error = await failure(topic.append('b'));
      expect(error).toMatchObject({ code: 'APPEND_UNKNOWN', outcome: 'unknown', retryable: false });
      expect(cluster.texts()).toEqual(texts);
    }
    cluster.appendFault = () => undefined;
    expect(await topic.append('c')).toMatchObject({ glsn: 2 });
  });

  test('whose stream the node refuses is sent again: nothing of it was read', async () => {
    const { cluster, topic } = await start([[1]]);
    let refusals = 3;
    cluster.appendFault = () => (refusals-- > 0 ? { kind: 'refuseStream' } : undefined);
    expect(await topic.append('a')).toMatchObject({ glsn: 1 });
    expect(cluster.texts()).toEqual(['a']);
    cluster.appendFault = () => ({ kind: 'refuseStream' });
    const outcomes: unknown[] = [];
    // A time that is over while a try is on its way says that the outcome is unknown: most of it is spent between tries.
    while (outcomes.length < 10 && !outcomes.includes('notAppended')) {
      const error = await failure(topic.append('b', { timeoutMs: 300 }));
      expect(error).toMatchObject({ code: 'TIMEOUT' });
      outcomes.push((error as VarlogError).outcome);
    }
    expect(outcomes).toContain('notAppended');
    expect(cluster.texts()).toEqual(['a']);
  });

  test('that the node calls unknown is unknown', async () => {
    const { cluster, topic } = await start([[1], [2]]);
    cluster.appendFault = () => ({ kind: 'refuse', code: 'SEALED', outcome: 'unknown' });
    const error = await failure(topic.append('a'));
    expect(error).toMatchObject({ code: 'APPEND_UNKNOWN', outcome: 'unknown' });
  });

  test('says when time is over whether it may be in the log', async () => {
    const clock = new ManualClock();
    const { cluster, topic } = await start([[1]], {}, clock);
    let seen = 0;
    cluster.appendFault = () => {
      seen++;
      return { kind: 'silent' };
    };
    const sending = failure(topic.append('a', { timeoutMs: 150 }));
    await until(() => seen === 1);
    await clock.advance(150);
    const sent = await sending;
    expect(sent).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' });
    const other = await start([[1]]);
    other.cluster.appendFault = () => refusal('SEALED');
    // Long enough for a try to be answered on a busy machine; it pauses between them for most of the time.
    const refused = await failure(other.topic.append('a', { timeoutMs: 2_000 }));
    expect(refused).toMatchObject({ code: 'TIMEOUT', outcome: 'notAppended' });
    expect((refused as Error).message).toContain('SEALED');
  });

  test('on a silent node ends as unknown once its log stream has another primary', async () => {
    const { cluster, topic } = await start([[1, 2]]);
    cluster.appendFault = (_, node) => (node === 1 ? { kind: 'silent' } : undefined);
    const lost = failure(topic.append('a', { timeoutMs: 60_000 }));
    await until(() => cluster.renewals > 0);
    cluster.streams.get(1)!.replicas = [2, 1];
    expect(await lost).toMatchObject({ code: 'APPEND_UNKNOWN', outcome: 'unknown' });
    expect(await topic.append('b')).toMatchObject({ glsn: 1 });
  });

  test('ends with the reason of its signal', async () => {
    const { cluster, topic } = await start([[1]]);
    cluster.appendFault = () => ({ kind: 'silent' });
    const stop = new AbortController();
    const ends = Array.from({ length: 20 }, () =>
      failure(topic.append('a', { signal: stop.signal })),
    );
    await until(() => cluster.renewals > 0);
    const reason = new Error('enough');
    stop.abort(reason);
    expect(new Set(await Promise.all(ends))).toEqual(new Set([reason]));
    expect(await failure(topic.append('a', { signal: stop.signal }))).toBe(reason);
  });

  test('with a time or a name that there is not was certainly not appended', async () => {
    const { cluster, topic } = await start([[1]]);
    const misspelt = { timeoutMS: 5 } as object;
    const part = { logStream: 1, records: 'a' } as Parameters<typeof topic.appendAtomically>[0][0];
    for (const refused of [
      () => topic.append('a', { timeoutMs: 0 }),
      () => topic.appendAtomically([part], { timeoutMs: -1 }),
      () => topic.appendAtomically([part], misspelt),
      () => topic.appendAtomically([{ ...part, ...misspelt }]),
    ]) {
      const expected = { code: 'INVALID_ARGUMENT', outcome: 'notAppended' };
      await expect(refused()).rejects.toMatchObject(expected);
    }
    expect(cluster.texts()).toEqual([]);
  });

  test('waits while too much is under way, and is refused when too much waits', async () => {
    const limits = { inFlightBytes: 3_000, waitingBytes: 5_000 };
    const { cluster, topic } = await start([[1]], limits);
    let silenced = 0;
    cluster.appendFault = () => {
      silenced++;
      return { kind: 'silent' };
    };
    const stop = new AbortController();
    const record = new Uint8Array(996);
    const ends = Array.from({ length: 10 }, () =>
      failure(topic.append(record, { signal: stop.signal })),
    );
    const refused = await Promise.all(ends.slice(8));
    for (const it of refused) {
      expect(it).toMatchObject({ code: 'RESOURCE_EXHAUSTED', outcome: 'notAppended' });
    }
    await until(() => silenced === 3);
    cluster.appendFault = () => undefined;
    stop.abort(new Error('stop'));
    await Promise.all(ends);
    const acks = await Promise.all(Array.from({ length: 8 }, () => topic.append(record)));
    expect(acks).toHaveLength(8);
    expect(silenced).toBe(3);
  });

  test('without an answer ends with CLOSED when the client is closed', async () => {
    const { cluster, topic, varlog } = await start([[1]]);
    cluster.appendFault = () => ({ kind: 'silent' });
    const sent = failure(topic.append('a'));
    await until(() => cluster.renewals > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await varlog.close();
    expect(await sent).toMatchObject({ code: 'CLOSED', outcome: 'unknown' });
    expect(await failure(topic.append('a'))).toMatchObject({ code: 'CLOSED' });
    expect(await failure(topic.watermarks())).toMatchObject({ code: 'CLOSED' });
    expect(await failure(varlog.topics())).toMatchObject({ code: 'CLOSED' });
  });

  test('many at once are each stored once and answered with their own position', async () => {
    const { cluster, topic } = await start([[1], [2], [3]]);
    const refused = new Set<number>();
    cluster.appendFault = ({ sequence, logStreamId }, node) => {
      const key = sequence * 10 + node;
      if (sequence % 7 !== 0 || refused.has(key)) return undefined;
      refused.add(key);
      return refusal(logStreamId === 1 ? 'SEALED' : 'RESOURCE_EXHAUSTED');
    };
    const acks = await Promise.all(Array.from({ length: 500 }, (_, i) => topic.append(`${i}`)));
    const texts = cluster.texts();
    expect(texts).toHaveLength(500);
    expect(refused.size).toBeGreaterThan(10);
    acks.forEach((ack, i) => {
      expect(texts[ack.glsn - 1]).toBe(`${i}`);
    });
  });
});

describe('the cluster', () => {
  test('that does not answer is named, with how to start one', async () => {
    const address = (await freeAddresses(1))[0]!;
    const connect = Varlog.connect({ ports, endpoints: [address], timeoutMs: 300 });
    const error = (await failure(connect)) as VarlogError;
    expect(error).toMatchObject({ code: 'UNREACHABLE', retryable: true });
    expect(error.message).toContain(`no node answered at ${address}`);
    expect(error.message).toContain('npx varlog up');
  });

  test('that went away is why an append was not even tried', async () => {
    const { cluster, topic } = await start([[1]]);
    await topic.append('a');
    // As the client knows it when the cluster goes, there is no log stream to try.
    cluster.streams.get(1)!.sealed = true;
    cluster.appendFault = () => refusal('SEALED');
    await failure(topic.append('b', { timeoutMs: 300 }));
    await cluster.close();
    const error = await failure(topic.append('c', { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'notAppended' });
    const [, because] = /within 300 ms \((.*)\)/.exec((error as Error).message) ?? [];
    expect(because).toMatch(/UNREACHABLE: nothing answers at/);
  });

  test('is not there where one node is gone and another one does not answer in time', async () => {
    const hung = await ports.network.serve('127.0.0.1:0', [
      handler(Ordering.Members, (_, { signal }) => {
        return new Promise((_, reject) => signal.addEventListener('abort', reject));
      }),
    ]);
    const gone = (await freeAddresses(1))[0]!;
    const endpoints = [gone, hung.address];
    const connecting = Varlog.connect({ ports, endpoints, timeoutMs: 300 });
    const error = await failure(connecting);
    await hung.close();
    expect(error).toMatchObject({ code: 'UNREACHABLE' });
  });

  test('is there where a member says that it does not lead, and nothing answers at the others', async () => {
    const alone = await ports.network.serve('127.0.0.1:0', [
      handler(Ordering.Members, () =>
        Promise.reject(new VarlogError('NOT_LEADER', { what: 'this member does not lead' })),
      ),
    ]);
    const gone = await freeAddresses(2);
    const endpoints = [alone.address, ...gone];
    const error = await failure(Varlog.connect({ ports, endpoints, timeoutMs: 300 }));
    await alone.close();
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/last: NOT_LEADER: .* until a majority .* is up/),
    });
  });

  test.each(['DISK_LOST', 'DISK_FAILED'] as const)(
    'is reached although the first member says %s of itself',
    async (code) => {
      const { cluster } = await start([[1]]);
      const bad = await ports.network.serve('127.0.0.1:0', [
        handler(Ordering.Members, async () => {
          throw new VarlogError(code, { what: 'the disk of this member is gone' });
        }),
      ]);
      const both = [bad.address, cluster.endpoint];
      await using varlog = await Varlog.connect({ ports, endpoints: both });
      expect(varlog.cluster).toBe('fake cluster');
      const alone = await failure(Varlog.connect({ ports, endpoints: bad.address }));
      expect(alone).toMatchObject({ code });
      await bad.close();
    },
  );

  test('is found by any endpoint that answers, and must be the expected one', async () => {
    const { cluster } = await start([[1]]);
    const endpoints = `varlog://127.0.0.1:1,${cluster.endpoint}`;
    await using found = await Varlog.connect({ ports, endpoints });
    expect(found.clusterId).toBe(7);
    expect((await found.topics())[0]).toEqual({
      id: 1,
      logStreams: [{ id: 1, state: 'open', replicas: [1] }],
    });
    const other = Varlog.connect({ ports, endpoints, clusterId: 8 });
    expect(await failure(other)).toMatchObject({ code: 'CLUSTER_MISMATCH' });
  });

  test.each(['', 'localhost', ':9092', 'a:0', 'a:99999', 'http://a:1', [] as string[], 'a:1,'])(
    'cannot be at %p',
    async (endpoints) => {
      const error = await failure(Varlog.connect({ ports, endpoints }));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    },
  );

  test('calls end with their signal and their time', async () => {
    const { topic } = await start([[1]]);
    const reason = new Error('enough');
    const aborted = failure(topic.watermarks({ signal: AbortSignal.abort(reason) }));
    expect(await aborted).toBe(reason);
    expect(await failure(topic.watermarks({ timeoutMs: 0 }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await failure(topic.append('a', { timeoutMs: Number.NaN }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('keeps no topic whose log streams could not be placed', async () => {
    const { cluster, varlog } = await start([[1]]);
    expect(await failure(varlog.createTopic())).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(cluster.topicExists).toBe(false);
    expect(await failure(varlog.createTopic({ logStreams: 0 }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('a trim is told to every replica, also when some do not answer', async () => {
    const { cluster, topic } = await start([
      [1, 2],
      [3, 1],
    ]);
    cluster.commit(1, ['1', '2', '3']);
    await cluster.stopNode(3);
    await topic.trim(2);
    expect(cluster.trims.sort()).toEqual([1, 2]);
    expect(await topic.watermarks()).toEqual({ first: 3, last: 3 });
    expect(await failure(topic.trim(0))).toBeInstanceOf(VarlogError);
  });
});
