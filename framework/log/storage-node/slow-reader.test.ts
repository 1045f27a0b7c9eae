import { LogStreams, ReadRequest, type ReadResponse } from '../../wire/gen/log.ts';
import { type Appender, batchOf, eventually, TestCluster } from './cluster.fixture.ts';
import { CommittedReader } from './committed-reader.ts';

const BATCH = batchOf(Array.from({ length: 32 }, () => 'x'.repeat(32 * 1024)));
const BATCHES = 64;
/** The client reads 16 messages ahead, of one batch here; the rest is the server's and the connection's. */
const HELD_MAX = (16 + 4) * BATCH.records.length;

let cluster: TestCluster;
afterEach(() => cluster.close());

/** Counts the payload that the node has taken up for each of its readers, in the order of their first read. */
function countTaken(): number[] {
  const taken = new Map<CommittedReader, number>();
  const counts: number[] = [];
  const { next } = CommittedReader.prototype;
  jest.spyOn(CommittedReader.prototype, 'next').mockImplementation(async function (
    this: CommittedReader,
  ) {
    const index = taken.get(this) ?? taken.size;
    taken.set(this, index);
    const batches = await next.call(this);
    counts[index] =
      (counts[index] ?? 0) + batches.reduce((n, it) => n + it.frame.payload.length, 0);
    return batches;
  });
  return counts;
}

function read(receive: (response: ReadResponse) => void | Promise<void>) {
  const request = ReadRequest.create({ topicId: 1, logStreamId: 1, fromGlsn: 1 });
  const stream = cluster.connect(1).subscribe(LogStreams.Read, request);
  stream.receive(receive);
  stream.closed.catch(() => {});
  return stream;
}

test('a reader that takes nothing costs a window, and no other reader waits for it', async () => {
  cluster = await TestCluster.start([1]);
  cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] });
  await cluster.reopen(1, [1]);
  const taken = countTaken();
  let release: () => void = () => {};
  let slowly = 0;
  const slow = read(async ({ batches }) => {
    for (const { records } of batches) slowly += records.length;
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  await eventually(() => taken.length === 1);
  let fast = 0;
  const other = read(({ batches }) => {
    for (const { records } of batches) fast += records.length;
  });
  const appender: Appender = cluster.appender(1);
  for (let i = 0; i < BATCHES; i++) await appender.send(BATCH);
  const all = BATCHES * BATCH.records.length;
  await eventually(() => fast === all);
  expect(taken[1]).toBe(all);
  expect(taken[0]).toBeLessThan(HELD_MAX);
  // Once it takes something, it gets more.
  const pump = setInterval(() => release(), 1);
  await eventually(() => slowly === all);
  clearInterval(pump);
  slow.cancel();
  other.cancel();
}, 30_000);
