import { Commit, FetchResponse } from '../../wire/gen/log.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';
import { restartAt } from './restart-at.ts';

let cluster: TestCluster;
afterEach(() => cluster.close());

test.each([
  ['kept', 3],
  ['dropped', 8],
])(
  'a crash at any point of a new beginning leaves a log that asks on where it ends: records are %s',
  async (_, first) => {
    let isThrough = false;
    for (let operation = 1; !isThrough; operation++) {
      cluster = await TestCluster.withLogStreams([1, 2]);
      const appender = cluster.appender(1);
      for (let i = 0; i < 5; i++) await appender.append(`a${i}`);
      const replica = cluster.replica(2);
      await eventually(() => replica.core.committedEnd === 5);
      const { commits } = replica.storage;
      await commits.flush();
      const known = (await commits.findByLlsn(3))!;
      // What is ordered is one record each: version and LLSN are the same.
      const commit = Commit.create({ ...known, logStreamId: 1, version: first, llsn: first });
      cluster.isolate(2);
      const disk = cluster.disks.get(2)!;
      const halted = disk.haltAt(disk.operationCount + operation);
      const source = FetchResponse.create({
        firstLlsn: first,
        firstGlsn: first,
        commits: [commit],
      });
      const begun = restartAt(replica, source, new AbortController().signal);
      isThrough = await Promise.race([begun.then(() => true), halted.then(() => false)]);
      await cluster.stopNode(2, 'powerLoss');
      await cluster.startNode(2);
      const { version, committedEnd } = cluster.replica(2).core;
      expect({ operation, isNext: version <= committedEnd }).toEqual({ operation, isNext: true });
      if (!isThrough) await cluster.close();
    }
  },
  120_000,
);
