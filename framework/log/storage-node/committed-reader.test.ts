import { eventually, TestCluster } from './cluster.fixture.ts';
import { commitAll } from './commit.ts';
import { CommittedReader } from './committed-reader.ts';

let cluster: TestCluster;
afterEach(() => cluster.close());

test('what is committed while a reader looks for its beginning is not skipped', async () => {
  cluster = await TestCluster.start([1]);
  cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] });
  await cluster.reopen(1, [1]);
  await cluster.appender(1).append('a');
  const replica = cluster.replica(1);
  // The commit of the next record comes at a time of this test's own choice.
  cluster.loses = () => true;
  void cluster.appender(1).append('b');
  await eventually(() => cluster.metadata.topics.get(1)!.highWatermark === 2);
  const found = CommittedReader.atGlsn(replica, 2);
  commitAll(replica, cluster.metadata.logStreams.get(1)!.history.from(2, 1));
  expect(replica.core.committedEnd).toBe(2);
  const batches = await (await found).next();
  expect(batches.map((it) => it.glsn)).toEqual([2]);
});
