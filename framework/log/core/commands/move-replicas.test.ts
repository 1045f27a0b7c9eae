import { opening } from '../commands.fixture.ts';
import { Metadata, type MetadataCommand } from '../index.ts';

const seal: MetadataCommand = { kind: 'seal', id: 1, byOperator: false };

/** Storage nodes 1 to 5, and log stream 1, open on the first three, with ten records. */
function cluster(): Metadata {
  const metadata = new Metadata();
  for (const id of [1, 2, 3, 4, 5]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2, 3] });
  metadata.apply(opening(1, [1, 2, 3]));
  const entry = { logStreamId: 1, epoch: 1, end: 10, persistedVersion: 0 };
  metadata.apply({ kind: 'cut', entries: [entry] });
  return metadata;
}

function move(metadata: Metadata, replicas: number[], leaving: number[] = []) {
  const { revision } = metadata.logStreams.get(1)!;
  return metadata.apply({ kind: 'moveReplicas', id: 1, replicas, leaving, revision });
}

test('a replica is moved in three steps, and goes on an order only', () => {
  const metadata = cluster();
  const stream = metadata.logStreams.get(1)!;
  const begun = move(metadata, [1, 2, 3, 4], [3]);
  expect(begun.result.ok).toBe(true);
  expect([...begun.changes.reassigned.get(1)!]).toEqual([1, 2, 3, 4]);
  expect(stream).toMatchObject({ members: [1, 2, 3], joining: [4], leaving: [3], sealed: false });
  metadata.apply(seal);
  metadata.apply(opening(2, [1, 2, 4]));
  expect(stream).toMatchObject({ joining: [], leaving: [3], replicas: [1, 2, 3, 4] });
  const ended = move(metadata, [1, 2, 4]);
  expect([...ended.changes.reassigned.get(1)!]).toEqual([1, 2, 4, 3]);
  expect(stream).toMatchObject({ replicas: [1, 2, 4], joining: [], leaving: [] });
  expect(metadata.storageNodes.get(3)!.removed).toEqual([1]);
  // It is given back: nothing of it is to be removed any more.
  move(metadata, [1, 2, 4, 3], [4]);
  expect(metadata.storageNodes.get(3)!.removed).toEqual([]);
});

test.each<[string, (metadata: Metadata) => void, number[], number[], string]>([
  [
    'one that was not told to',
    () => {},
    [1, 2],
    [],
    '2 replicas of log stream 1 would stay, and not 3',
  ],
  [
    'one that was not told to, in place of another one',
    (it) => {
      move(it, [1, 2, 3, 4]);
      it.apply(seal);
      it.apply(opening(2, [1, 2, 4]));
    },
    [1, 2, 4],
    [],
    'was not told to leave',
  ],
  ['one that is still a member', (it) => move(it, [1, 2, 3, 4], [3]), [1, 2, 4], [], 'not known'],
  [
    'one that is a member beside all others',
    (it) => {
      move(it, [1, 2, 3, 4], [3]);
      it.apply(seal);
      it.apply(opening(2, [1, 2, 3, 4]));
    },
    [1, 2, 4],
    [],
    'not known',
  ],
  [
    'one that left, while the log stream is sealed',
    (it) => {
      move(it, [1, 2, 3, 4], [3]);
      it.apply(seal);
      it.apply(opening(2, [1, 2, 4]));
      it.apply(seal);
    },
    [1, 2, 4],
    [],
    'not known',
  ],
  [
    'one that left, where another one is no member',
    (it) => {
      move(it, [1, 2, 3, 4], [3]);
      it.apply(seal);
      it.apply(opening(2, [1, 4]));
    },
    [1, 2, 4],
    [],
    'not known',
  ],
  [
    'one that left, where another one has lost its disk',
    (it) => {
      it.apply({ kind: 'replaceStorageNode', id: 2, disk: 'a' });
      move(it, [1, 2, 3, 4], [3]);
      it.apply(seal);
      it.apply({ ...opening(2, [1, 2, 4]), disks: ['', 'a', ''] } as MetadataCommand);
      it.apply({ kind: 'replaceStorageNode', id: 2, disk: 'b' });
    },
    [1, 2, 4],
    [],
    'not known',
  ],
  ['too many', () => {}, [1, 2, 3, 4], [2, 3], '2 replicas of log stream 1 would stay, and not 3'],
])('it is refused, and changes nothing, for %s', (_, prepare, replicas, leaving, what) => {
  const metadata = cluster();
  prepare(metadata);
  const before = metadata.snapshot();
  const { result } = move(metadata, replicas, leaving);
  expect(result).toMatchObject({
    code: 'FAILED_PRECONDITION',
    what: expect.stringContaining(what),
  });
  expect(metadata.snapshot()).toEqual(before);
});

test('one that is new goes again at any time, and then none is to leave', () => {
  const metadata = cluster();
  move(metadata, [1, 2, 3, 4], [3]);
  metadata.apply(seal);
  expect(move(metadata, [1, 2, 3]).result.ok).toBe(true);
  expect(metadata.logStreams.get(1)).toMatchObject({ joining: [], leaving: [] });
});

test('it is refused for a node that is drained, an unknown one, and a state that is gone', () => {
  const metadata = cluster();
  metadata.apply({ kind: 'drainStorageNode', id: 4, cancel: false });
  expect(move(metadata, [1, 2, 3, 4], [3]).result).toMatchObject({
    what: 'storage node 4 is being drained',
  });
  expect(move(metadata, [1, 2, 3, 9], [3]).result).toMatchObject({ code: 'NOT_FOUND' });
  const old = {
    kind: 'moveReplicas',
    id: 1,
    replicas: [1, 2, 3, 5],
    leaving: [],
    revision: 0,
  } as const;
  expect(metadata.apply(old).result).toMatchObject({
    what: expect.stringContaining('changed meanwhile'),
  });
});

test('a drain that is cancelled keeps what is being moved away, unless that is too late', () => {
  const metadata = cluster();
  const stream = metadata.logStreams.get(1)!;
  const drain = (cancel: boolean) =>
    metadata.apply({ kind: 'drainStorageNode', id: 3, cancel }).result;
  expect(metadata.apply({ kind: 'drainStorageNode', id: 9, cancel: false }).result).toMatchObject({
    code: 'NOT_FOUND',
  });
  drain(false);
  move(metadata, [1, 2, 3, 4], [3]);
  drain(true);
  expect(stream).toMatchObject({ joining: [4], leaving: [] });
  move(metadata, [1, 2, 3]);
  drain(false);
  move(metadata, [1, 2, 3, 4], [3]);
  metadata.apply(seal);
  metadata.apply(opening(2, [1, 2, 4]));
  drain(true);
  expect(stream).toMatchObject({ joining: [], leaving: [3] });
  expect(metadata.storageNodes.get(3)!.draining).toBe(false);
});

test('a topic gets another number of replicas', () => {
  const metadata = cluster();
  const set = (topicId: number, replicationFactor: number) =>
    metadata.apply({ kind: 'setReplicationFactor', topicId, replicationFactor }).result;
  expect(set(1, 5)).toMatchObject({ ok: true });
  expect(metadata.logStreams.get(1)).toMatchObject({ replicationFactor: 5, replicas: [1, 2, 3] });
  for (const bad of [0, 8, 1.5]) expect(set(1, bad)).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(set(9, 1)).toMatchObject({ code: 'TOPIC_NOT_FOUND' });
});

test('who prefers a primary is remembered once all members know how', () => {
  const metadata = cluster();
  const prefer = () => metadata.apply({ kind: 'preferPrimary', id: 1, node: 1 });
  prefer();
  expect(metadata.logStreams.get(1)!.preferred).toBe(0);
  metadata.apply({ kind: 'raiseFeatureLevel', to: 6 });
  prefer();
  expect(metadata.logStreams.get(1)!.preferred).toBe(1);
  move(metadata, [2, 3, 1, 4], [1]);
  metadata.apply(seal);
  metadata.apply(opening(2, [2, 3, 4]));
  move(metadata, [2, 3, 4]);
  expect(metadata.logStreams.get(1)!.preferred).toBe(0);
});
