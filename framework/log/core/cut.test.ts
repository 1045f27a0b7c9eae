import { type CutEntry, HISTORY_LENGTH_MAX, Metadata } from './index.ts';

/** Topics 1 and 2; log streams 1 and 3 of topic 1, log stream 2 of topic 2, all open in epoch 1. */
function open(): Metadata {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'node' });
  for (const id of [1, 2]) metadata.apply({ kind: 'registerTopic', id, acknowledge: 'all' });
  for (const topicId of [1, 2, 1]) {
    metadata.apply({ kind: 'registerLogStream', id: 0, topicId, replicas: [1] });
  }
  for (const id of [1, 2, 3])
    metadata.apply({ kind: 'unseal', id, epoch: 1, members: [1], disks: [''], primaryProcess: '' });
  return metadata;
}

const entry = (logStreamId: number, end: number, persistedVersion = 0, epoch = 1): CutEntry => ({
  logStreamId,
  epoch,
  end,
  persistedVersion,
});

function commitsOf(metadata: Metadata, ...entries: CutEntry[]): string[] {
  const { changes } = metadata.apply({ kind: 'cut', entries });
  return changes.commits.map(
    (it) => `${it.logStreamId} v${it.version}: ${it.llsn}+${it.count} = ${it.glsn}`,
  );
}

test('positions follow the order of the ids, not that of the entries', () => {
  const metadata = open();
  const commits = commitsOf(metadata, entry(3, 2), entry(2, 5), entry(1, 3));
  expect(commits).toEqual(['1 v1: 1+3 = 1', '3 v1: 1+2 = 4', '2 v1: 1+5 = 1']);
  expect(commitsOf(metadata, entry(1, 4), entry(3, 3))).toEqual(['1 v2: 4+1 = 6', '3 v2: 3+1 = 7']);
});

test('a cut that comes twice, late, for another epoch, for a sealed or an unknown log stream does nothing', () => {
  const metadata = open();
  commitsOf(metadata, entry(1, 3));
  expect(commitsOf(metadata, entry(1, 3), entry(1, 2), entry(1, 9, 0, 2), entry(9, 9))).toEqual([]);
  metadata.apply({ kind: 'seal', id: 1, byOperator: false });
  expect(commitsOf(metadata, entry(1, 9))).toEqual([]);
  expect(metadata.topics.get(1)!.highWatermark).toBe(3);
});

test('history goes when all members have it on disk, also by a cut that moves nothing', () => {
  const metadata = open();
  for (let end = 1; end <= 5; end++) commitsOf(metadata, entry(1, end));
  const versions = (): number[] =>
    metadata.logStreams
      .get(1)!
      .history.from(0)
      .map((it) => it.version);
  commitsOf(metadata, entry(1, 5, 2));
  expect(versions()).toEqual([3, 4, 5]);
  commitsOf(metadata, entry(1, 5, 1));
  expect(versions()).toEqual([3, 4, 5]);
  // The members of another epoch were others: those of now may lack it.
  commitsOf(metadata, entry(1, 5, 4, 0));
  expect(versions()).toEqual([3, 4, 5]);
  commitsOf(metadata, entry(1, 5, 9));
  expect(versions()).toEqual([]);
});

test('history has a limit even where nobody has it on disk', () => {
  const metadata = open();
  for (let end = 1; end <= HISTORY_LENGTH_MAX + 1; end++) commitsOf(metadata, entry(1, end));
  const { history, version } = metadata.logStreams.get(1)!;
  expect(history.length).toBeLessThanOrEqual(HISTORY_LENGTH_MAX);
  expect(history.last!.version).toBe(version);
});
