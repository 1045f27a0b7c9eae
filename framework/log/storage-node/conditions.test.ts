import { encodeBatch, type VarlogError } from '../../base/index.ts';
import {
  type AppendBatch,
  AppendCondition,
  type AppendResult,
  FenceLogStreamRequest,
  KeyCondition,
  LogStreams,
} from '../../wire/gen/log.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';

let cluster: TestCluster;

async function clusterOf(nodes: number[]): Promise<TestCluster> {
  cluster = await TestCluster.withLogStreams(nodes);
  return cluster;
}

afterEach(() => cluster.close());

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A record, with the key that is given. */
function keyed(key?: string): Partial<AppendBatch> {
  const recordHeaders = new Map(key === undefined ? [] : [[0, [['', bytes(key)] as const]]]);
  const { count, bytes: records } = encodeBatch([bytes('x')], { recordHeaders });
  return { count, records };
}

/** The same, with a condition. */
function when(condition: Partial<AppendCondition>, key?: string): Partial<AppendBatch> {
  const { count = 0, ...batch } = keyed(key);
  return { ...batch, condition: AppendCondition.create({ ...condition, count }) };
}

const version = (key: string, of: number): Partial<AppendCondition> => ({
  key: KeyCondition.create({ key: bytes(key), version: of }),
});

const placeOf = ({ llsn, failure }: AppendResult) =>
  failure === null ? llsn : { code: failure.code, ...JSON.parse(failure.details) };

const failed = (condition: string, expected: number, actual: number, more: object = {}) =>
  expect.objectContaining({ code: 'CONDITION_FAILED', condition, expected, actual, ...more });

const epochNow = (): number => cluster.metadata.logStreams.get(1)!.epoch;

function fence(node: number, token: number, epoch = epochNow()): Promise<unknown> {
  const request = { topicId: 1, logStreamId: 1, epoch, token };
  const { Fence } = LogStreams;
  return cluster.connect(node).call(Fence, FenceLogStreamRequest.create(request));
}

describe('appends with a condition', () => {
  test('are taken where it holds, and leave nothing where it does not', async () => {
    await clusterOf([1, 2]);
    const appender = cluster.appender(1);
    expect(placeOf(await appender.send(when({ tail: 0 })))).toBe(1);
    expect(placeOf(await appender.send(when({ tail: 0 })))).toEqual(failed('tail', 0, 1));
    expect(placeOf(await appender.send(when({ tail: 1 }, 'a')))).toBe(2);
    expect(placeOf(await appender.send(when(version('a', 0), 'a')))).toEqual(
      failed('stream', 0, 2),
    );
    expect(placeOf(await appender.send(when(version('b', 0), 'b')))).toBe(3);
    expect(placeOf(await appender.send(when(version('a', 2), 'a')))).toBe(4);
    expect(placeOf(await appender.send(when({ fence: 1 })))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(cluster.replica(1).core.end).toBe(4);
  });

  test('see what is not ordered yet', async () => {
    await clusterOf([1, 2]);
    cluster.loses = () => true;
    const appender = cluster.appender(1);
    const first = appender.send(when(version('a', 0), 'a'));
    expect(placeOf(await appender.send(when(version('a', 0), 'a')))).toEqual(
      failed('stream', 0, 1),
    );
    expect(placeOf(await appender.send(when({ tail: 0 })))).toEqual(failed('tail', 0, 1));
    const second = appender.send(when({ tail: 1 }));
    await eventually(() => cluster.replica(1).core.end === 2);
    cluster.loses = () => false;
    const third = appender.send(keyed());
    expect([await first, await second, await third].map(placeOf)).toEqual([1, 2, 3]);
  });

  test('of a producer are not asked again when the batch is repeated', async () => {
    await clusterOf([1, 2]);
    const appender = cluster.appender(1);
    const producer = { id: 7, epoch: 1, sequence: 0 };
    const { count, bytes: records } = encodeBatch([bytes('x')], { producer });
    const condition = AppendCondition.create({ count, tail: 0, fence: null });
    const { glsn } = await appender.send({ records, condition });
    await appender.append('a');
    expect(await appender.send({ records, condition })).toMatchObject({ glsn, duplicate: true });
  });

  test('that build on what a seal cuts off are lost with it, and not to be tried again', async () => {
    await clusterOf([1, 2, 3]);
    const appender = cluster.appender(1);
    await appender.append('a');
    await cluster.stopNode(2);
    await cluster.stopNode(3);
    const base = appender.send(when({ tail: 1 }, 'a'));
    const other = appender.send(when(version('b', 1), 'b'));
    const ofTail = appender.send(when({ tail: 3 }));
    const ofKey = appender.send(when(version('a', 2)));
    await eventually(() => cluster.replica(1).core.durableEnd === 5);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    expect([await base, await other].map((it) => it.failure?.code)).toEqual(['SEALED', 'SEALED']);
    expect(placeOf(await ofTail)).toEqual(failed('tail', 3, 1));
    expect(placeOf(await ofKey)).toEqual(failed('tail', 2, 1));
    await cluster.startNode(2);
    await cluster.reopen(1, [1, 2]);
    expect(placeOf(await appender.send(when(version('a', 1), 'a')))).toBe(2);
  });

  test.each(['shutdown', 'powerLoss'] as const)(
    'know the keys after a restart by %s',
    async (how) => {
      await clusterOf([1]);
      for (const key of ['a', 'b', 'a']) await cluster.appender(1).send(keyed(key));
      await cluster.stopNode(1, how === 'powerLoss' ? how : undefined);
      await cluster.startNode(1);
      await eventually(() => cluster.reported(1) === 'restarted');
      await cluster.reopen(1, [1]);
      const appender = cluster.appender(1);
      expect(placeOf(await appender.send(when(version('a', 1))))).toEqual(failed('stream', 1, 3));
      expect(placeOf(await appender.send(when(version('c', 0))))).toBe(4);
    },
  );

  test('know the keys of records that were trimmed, on a backup that becomes the primary and on a new replica', async () => {
    await clusterOf([1, 2, 3]);
    cluster.apply({ kind: 'seal', id: 1, byOperator: false });
    cluster.setReplicas([1, 2]);
    await eventually(() => cluster.state(3) === 'absent');
    await cluster.reopen(1, [1, 2]);
    for (const key of ['a', 'b', 'a', 'c']) await cluster.appender(1).send(keyed(key));
    cluster.apply({ kind: 'trim', topicId: 1, glsn: 3 });
    await eventually(() => [1, 2].every((it) => cluster.replica(it).storage.records.first === 4));
    for (const it of [1, 2]) {
      await cluster.stopNode(it, 'powerLoss');
      await cluster.startNode(it);
    }
    await eventually(() => [1, 2].every((it) => cluster.reported(it) !== undefined));
    await cluster.reopen(1, [2, 1]);
    const second = cluster.appender(2);
    expect(placeOf(await second.send(when(version('a', 1))))).toEqual(failed('stream', 1, 3));
    expect(placeOf(await second.send(when(version('d', 0), 'd')))).toBe(5);
    cluster.setReplicas([1, 2, 3]);
    await cluster.reopen(1, [2, 1]);
    await eventually(() => cluster.replica(3).core.committedEnd === 5);
    await cluster.reopen(1, [3, 1]);
    const third = cluster.appender(3);
    expect(placeOf(await third.send(when(version('b', 1))))).toEqual(failed('stream', 1, 2));
    expect(placeOf(await third.send(when(version('b', 2), 'b')))).toBe(6);
  });
});

describe('a fence', () => {
  test('has a primary refuse older tokens, and those that nobody has set', async () => {
    await clusterOf([1, 2]);
    cluster.apply({ kind: 'fence', topicId: 1, logStreamId: 0, token: 5 });
    await fence(1, 5);
    const appender = cluster.appender(1);
    const takes = async (token: number) => placeOf(await appender.send(when({ fence: token })));
    expect(await takes(4)).toEqual(failed('fence', 4, 5));
    expect(await takes(6)).toMatchObject({ code: 'UNAVAILABLE', expected: 6, actual: 5 });
    expect(await takes(5)).toBe(1);
    // Who carries none is not concerned.
    expect(placeOf(await appender.append('a'))).toBe(2);
    await fence(1, 5);
    const older = { code: 'CONDITION_FAILED', details: { actual: 5 } };
    await expect(fence(1, 4)).rejects.toMatchObject(older);
  });

  test('is refused by who is not the primary of that epoch', async () => {
    await clusterOf([1, 2]);
    const epoch = epochNow();
    for (const [node, of] of [
      [2, epoch],
      [1, epoch - 1],
      [1, epoch + 1],
    ] as const) {
      const error = (await fence(node, 5, of).catch((it) => it)) as VarlogError;
      expect(['NOT_PRIMARY', 'SEALED']).toContain(error.code);
    }
    expect([1, 2].map((it) => cluster.replica(it).fence)).toEqual([0, 0]);
  });

  test('is answered when all is ordered that was taken before', async () => {
    await clusterOf([1, 2]);
    cluster.loses = () => true;
    const appender = cluster.appender(1);
    const before = appender.append('a');
    await eventually(() => cluster.replica(1).core.end === 1);
    const order: string[] = [];
    const fenced = fence(1, 5).then(() => order.push('fenced'));
    await eventually(() => cluster.replica(1).fence === 5);
    expect(placeOf(await appender.send(when({ fence: 4 })))).toEqual(failed('fence', 4, 5));
    expect(order).toEqual([]);
    cluster.loses = () => false;
    void appender.append('b');
    await Promise.all([fenced, before]);
    expect(cluster.replica(1).core.committedEnd).toBeGreaterThanOrEqual(1);
  });

  test('is known to the primary of each later epoch', async () => {
    await clusterOf([1, 2, 3]);
    cluster.apply({ kind: 'fence', topicId: 1, logStreamId: 0, token: 5 });
    await cluster.stopNode(1, 'powerLoss');
    await cluster.reopen(1, [2, 3]);
    await eventually(() => cluster.replica(2).core.isPrimary);
    const appender = cluster.appender(2);
    expect(placeOf(await appender.send(when({ fence: 4 })))).toEqual(failed('fence', 4, 5));
    expect(placeOf(await appender.send(when({ fence: 5 })))).toBe(1);
  });
});
