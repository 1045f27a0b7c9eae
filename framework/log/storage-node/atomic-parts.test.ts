import { encodeBatch } from '../../base/index.ts';
import { type AppendBatch, AppendCondition, type AppendResult } from '../../wire/gen/log.ts';
import { TOGETHER_FROM } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';

let cluster: TestCluster;

/** Log streams 1 and 2, each on all nodes; the first node is the primary of both. */
async function clusterOf(nodes: number[], level = TOGETHER_FROM): Promise<void> {
  cluster = await TestCluster.start(nodes);
  cluster.apply({ kind: 'raiseFeatureLevel', to: level });
  for (const id of [1, 2]) {
    cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: nodes });
    await cluster.reopen(id, nodes);
  }
}

const { parkedMs } = LOG_TIMES;
beforeEach(() => {
  // A busy machine may take long between two parts.
  LOG_TIMES.parkedMs = 60_000;
});
afterEach(async () => {
  LOG_TIMES.parkedMs = parkedMs;
  await cluster.close();
});

/** One record as the part of an atomic append of log streams 1 and 2. */
function part(id: number, logStreamId: number, logStreams = [1, 2]): Partial<AppendBatch> {
  const record = new TextEncoder().encode(`${id}.${logStreamId}`);
  const { count, bytes } = encodeBatch([record], { atomic: { id, logStreams } });
  return { logStreamId, count, records: bytes };
}

const placeOf = ({ glsn, llsn, failure }: AppendResult) =>
  failure === null ? [glsn, llsn] : [failure.code, failure.outcome];

describe('parts of an atomic append', () => {
  test("stay out of the log until all of them have come, and are in nobody's way", async () => {
    await clusterOf([1, 2]);
    const appender = cluster.appender(1);
    const first = appender.send(part(7, 1));
    await eventually(() => cluster.replica(1).parked.size === 1);
    expect(placeOf(await appender.append('a'))).toEqual([1, 1]);
    expect(cluster.replica(1).core.end).toBe(1);
    const second = appender.send(part(7, 2));
    const places = [placeOf(await first), placeOf(await second)];
    expect(places.map(([glsn]) => glsn).sort()).toEqual([2, 3]);
    expect(places.map(([, llsn]) => llsn)).toEqual([2, 1]);
    expect(cluster.replica(1).parked.bytes).toBe(0);
    await eventually(() => cluster.replica(2).core.committedEnd === 2);
    expect([1, 2].map((it) => cluster.replica(it).report.waiting)).toEqual([undefined, undefined]);
  });

  test('of many at a time are each ordered together', async () => {
    await clusterOf([1, 2]);
    const appender = cluster.appender(1);
    const both = Array.from({ length: 100 }, (_, id) => {
      // In another order in each log stream.
      const given = id % 2 === 0 ? [1, 2] : [2, 1];
      return Promise.all(given.map((it) => appender.send(part(id, it))));
    });
    const glsns = (await Promise.all(both)).flat().map((it) => it.glsn);
    expect(glsns.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  test('that cannot be are refused', async () => {
    await clusterOf([1]);
    const appender = cluster.appender(1);
    void appender.send(part(7, 1));
    const refused = ['INVALID_ARGUMENT', 'notAppended'];
    expect(placeOf(await appender.send(part(7, 1)))).toEqual(refused);
    expect(placeOf(await appender.send(part(8, 1, [2, 3])))).toEqual(refused);
    // It would be true when the part comes, and not when it enters the log.
    const condition = AppendCondition.create({ count: 1, fence: 0 });
    expect(placeOf(await appender.send({ ...part(9, 1), condition }))).toEqual(refused);
    const given = Array.from({ length: 256 }, (_, id) => appender.send(part(100 + id, 1)));
    expect(placeOf(await given.at(-1)!)).toEqual(['RESOURCE_EXHAUSTED', 'notAppended']);
    expect(cluster.replica(1).core.end).toBe(0);
  });

  test('are refused for certain when the others do not come, and when the log stream is sealed', async () => {
    await clusterOf([1]);
    LOG_TIMES.parkedMs = 50;
    const appender = cluster.appender(1);
    const lonely = appender.send(part(7, 1));
    expect(placeOf(await lonely)).toEqual(['UNAVAILABLE', 'notAppended']);
    LOG_TIMES.parkedMs = 60_000;
    const parked = appender.send(part(8, 2));
    await eventually(() => cluster.replica(1, 2).parked.size === 1);
    cluster.apply({ kind: 'seal', id: 2, byOperator: false });
    expect(placeOf(await parked)).toEqual(['SEALED', 'notAppended']);
    expect(cluster.replica(1, 2).parked.bytes).toBe(0);
    expect(cluster.replica(1).core.end).toBe(0);
  });

  test('do not enter a log before the cluster has agreed on them', async () => {
    await clusterOf([1], TOGETHER_FROM - 1);
    LOG_TIMES.parkedMs = 50;
    const appender = cluster.appender(1);
    const places = await Promise.all([1, 2].map((it) => appender.send(part(7, it))));
    expect(places.map(placeOf)).toEqual([1, 2].map(() => ['UNAVAILABLE', 'notAppended']));
  });

  test('in the log are told by backups and by a process that was started again, until they are cut off', async () => {
    await clusterOf([1, 2]);
    // Log stream 2 never gets to know that its part may enter.
    const appender = cluster.appender(1);
    cluster.withholds = ({ logStreamId }) => logStreamId === 2;
    const first = appender.send(part(7, 1));
    const second = appender.send(part(7, 2));
    const waiting = [{ id: 7, logStreams: [1, 2], llsn: 1, end: 1 }];
    await eventually(() => cluster.replica(2).core.durableEnd === 1);
    for (const node of [1, 2]) expect(cluster.replica(node).report.waiting).toEqual(waiting);
    const behind = appender.append('a');
    await cluster.stopNode(2);
    await cluster.startNode(2);
    await eventually(() => cluster.replica(2).core.durableEnd === 2);
    expect(cluster.replica(2).report.waiting).toEqual(waiting);
    expect(cluster.replica(1).core.committedEnd).toBe(0);
    await cluster.reopen(1, [1, 2]);
    expect(placeOf(await first)).toEqual(['SEALED', 'notAppended']);
    expect(placeOf(await behind)).toEqual(['SEALED', 'notAppended']);
    expect(cluster.replica(1, 2).parked.size).toBe(1);
    cluster.apply({ kind: 'seal', id: 2, byOperator: false });
    expect(placeOf(await second)).toEqual(['SEALED', 'notAppended']);
    for (const node of [1, 2]) expect(cluster.replica(node).report.waiting).toBeUndefined();
    expect(placeOf(await appender.append('b'))).toEqual([1, 1]);
  });
});
