import { LogStreams, ReadRequest } from '../../wire/gen/log.ts';
import { batchOf, eventually, TestCluster } from './cluster.fixture.ts';

const RECORDS = 200;

let cluster: TestCluster;
afterEach(() => cluster.close());

/** Follows a log stream; gives back the watermarks that came without records. */
function follow(logStreamId: number, toGlsn = 0): number[] {
  const told: number[] = [];
  const request = ReadRequest.create({ topicId: 1, logStreamId, fromGlsn: 1, toGlsn });
  const stream = cluster.connect(1).subscribe(LogStreams.Read, request);
  stream.receive(({ batches, highWatermark }) => {
    if (batches.length === 0) told.push(highWatermark);
  });
  stream.closed.catch(() => {});
  return told;
}

test('who follows a log stream hears of the records of others now and then, and of the last one for certain', async () => {
  cluster = await TestCluster.start([1]);
  for (const id of [1, 2]) {
    cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
    await cluster.reopen(id, [1]);
  }
  const told = follow(2);
  // A range ends with its last record, wherever that is.
  const range = follow(2, RECORDS / 2);
  await eventually(() => told.length > 0 && range.length > 0);
  const begin = performance.now();
  const appender = cluster.appender(1);
  for (let i = 0; i < RECORDS; i++) await appender.send(batchOf(['x']));
  await eventually(() => told.at(-1) === RECORDS);
  expect(told.length).toBeLessThan(4 + (performance.now() - begin) / 250);
  expect(range.at(-1)).toBeGreaterThanOrEqual(RECORDS / 2);
});
