import { LogStreams, ReadRequest, SeekRequest } from '../../wire/gen/log.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';

const FUTURE = 2_000_000_000_000;

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.start([1, 2]);
  cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2] });
  await cluster.reopen(1, [1, 2]);
});
afterEach(() => cluster.close());

async function seek(node: number, timestamp: number) {
  const request = SeekRequest.create({ topicId: 1, logStreamId: 1, timestamp });
  const { glsn, highWatermark } = await cluster.connect(node).call(LogStreams.Seek, request);
  return { glsn, highWatermark };
}

/** The first record of each batch with its time, as one node has them. */
async function timesOf(node: number, to: number): Promise<{ glsn: number; timestamp: number }[]> {
  const found: { glsn: number; timestamp: number }[] = [];
  const request = { topicId: 1, logStreamId: 1, fromGlsn: cluster.replica(node).head.trimmed + 1 };
  const stream = cluster
    .connect(node)
    .subscribe(LogStreams.Read, ReadRequest.create({ ...request, toGlsn: to }));
  stream.receive(({ batches }) => {
    for (const { glsn, timestamp } of batches) found.push({ glsn, timestamp });
  });
  await stream.closed;
  return found;
}

test('each replica knows where a time begins, also after the primary was another one and after a restart', async () => {
  // The clock of the second primary is behind that of the first: the time of a log stream goes on all the same.
  let now = FUTURE;
  const ahead = jest.spyOn(Date, 'now').mockImplementation(() => now);
  try {
    const first = cluster.appender(1);
    for (now of [FUTURE, FUTURE + 5, FUTURE + 10]) await first.append('a', 'b');
  } finally {
    ahead.mockRestore();
  }
  await cluster.reopen(1, [2, 1]);
  const second = cluster.appender(2);
  for (let i = 0; i < 3; i++) await second.append('c', 'd');
  await cluster.stopNode(1);
  await cluster.startNode(1);
  await cluster.reopen(1, [2, 1]);
  await eventually(() => [1, 2].every((it) => cluster.replica(it).watermark === 12));
  for (const node of [1, 2]) {
    const times = await timesOf(node, 12);
    expect(times.map((it) => it.glsn)).toEqual([1, 3, 5, 7, 9, 11]);
    for (const { timestamp } of times) {
      const { glsn } = times.find((it) => it.timestamp >= timestamp)!;
      expect(await seek(node, timestamp)).toEqual({ glsn, highWatermark: 12 });
    }
    const [last] = times.map((it) => it.timestamp).sort((a, b) => b - a);
    expect(await seek(node, last! + 1)).toEqual({ glsn: 0, highWatermark: 12 });
    expect(times.map((it) => it.timestamp - FUTURE)).toEqual([0, 5, 10, 10, 10, 10]);
    expect(await seek(node, FUTURE + 6)).toEqual({ glsn: 5, highWatermark: 12 });
  }
});

test('what was trimmed, also of a batch, is not where a time begins', async () => {
  const appender = cluster.appender(1);
  for (let i = 0; i < 3; i++) await appender.append('a', 'b');
  cluster.apply({ kind: 'trim', topicId: 1, glsn: 3 });
  await eventually(() => [1, 2].every((it) => cluster.replica(it).head.trimmed === 3));
  await eventually(() => [1, 2].every((it) => cluster.replica(it).watermark === 6));
  for (const node of [1, 2]) expect(await seek(node, 0)).toEqual({ glsn: 4, highWatermark: 6 });
  cluster.apply({ kind: 'trim', topicId: 1, glsn: 6 });
  await eventually(() => [1, 2].every((it) => cluster.replica(it).head.trimmed === 6));
  await cluster.replica(1).turns.settled();
  expect(await seek(1, 0)).toEqual({ glsn: 0, highWatermark: 6 });
});

test('a replica that serves nothing does not answer, and a log stream that is not there is not found', async () => {
  cluster.replica(1).fail(new Error('its disk failed'));
  await expect(seek(1, 0)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const request = SeekRequest.create({ topicId: 1, logStreamId: 9 });
  await expect(cluster.connect(2).call(LogStreams.Seek, request)).rejects.toMatchObject({
    code: 'LOG_STREAM_NOT_FOUND',
  });
});
