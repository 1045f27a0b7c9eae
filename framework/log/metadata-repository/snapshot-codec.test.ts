import { Snapshot } from '../../wire/gen/metadata.ts';
import { FIRST_FEATURE_LEVEL, Metadata, NEWEST_FEATURE_LEVEL } from '../core/index.ts';
import { commandCodec } from '../metadata-codec.ts';
import { OLD_COMMANDS, OLD_SNAPSHOT } from './old-formats.fixture.ts';
import { snapshotCodec } from './snapshot-codec.ts';

/** `streams` log streams in one topic, each ordered by `cuts` cuts that nobody has on disk yet. */
function ordered(streams: number, cuts: number): Metadata {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
  metadata.apply({ kind: 'registerTopic', id: 0, acknowledge: 'all' });
  for (let id = 1; id <= streams; id++) {
    metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
    const disks = [''];
    const opening = { id, epoch: 1, members: [1], disks, primaryProcess: '' };
    metadata.apply({ kind: 'unseal', ...opening });
  }
  for (let cut = 1; cut <= cuts; cut++) {
    const entries = Array.from({ length: streams }, (_, i) => ({
      logStreamId: i + 1,
      epoch: 1,
      end: 3 * cut,
      persistedVersion: 0,
    }));
    metadata.apply({ kind: 'cut', entries });
  }
  return metadata;
}

test('a snapshot restores the same state, with the history of every log stream', () => {
  const metadata = ordered(3, 1_000);
  metadata.apply({ kind: 'registerStorageNode', id: 2, address: 'b' });
  metadata.apply({ kind: 'unregisterStorageNode', id: 2 });
  metadata.apply({ kind: 'registerTopic', id: 9, acknowledge: 'majority' });
  metadata.apply({ kind: 'hold', topicId: 1, holder: 'a', position: 7 });
  metadata.apply({ kind: 'beginTopic', topicId: 9, glsn: 40 });
  metadata.apply({ kind: 'setRetention', topicId: 1, retention: { bytes: 1e9, ageMs: 5 } });
  metadata.apply({ kind: 'setRetention', topicId: 9, retention: { ageMs: 5 } });
  metadata.apply({ kind: 'unregisterTopic', id: 9 });
  metadata.apply({ kind: 'raiseFeatureLevel', to: NEWEST_FEATURE_LEVEL });
  metadata.apply({ kind: 'openProducer', topicId: 1, producer: 7 });
  const consumer = { topicId: 1, name: 'billing' };
  metadata.apply({ kind: 'openConsumer', ...consumer, owner: 'a', begin: 'end' });
  metadata.apply({ kind: 'openConsumer', topicId: 1, name: 'b', owner: 'b', begin: 'start' });
  const parked = [{ glsn: 5, attempts: 2, cause: 'why', at: 1_000, replay: false }];
  const step = { epoch: 1, sequence: 3, position: 8, parked, settled: [] };
  metadata.apply({ kind: 'advanceConsumer', ...consumer, ...step });
  metadata.apply({ kind: 'decideParked', ...consumer, glsns: [], drop: false });
  expect(metadata.topics.get(1)!.consumers).toMatchObject([
    { position: 0 },
    { position: 8, parked: [{ replay: true }] },
  ]);
  metadata.apply({ kind: 'registerStorageNode', id: 3, address: 'c' });
  const { revision } = metadata.logStreams.get(2)!;
  metadata.apply({ kind: 'moveReplicas', id: 2, replicas: [1, 3], leaving: [1], revision });
  expect(metadata.logStreams.get(2)).toMatchObject({ joining: [3], leaving: [1] });
  metadata.apply({ kind: 'drainStorageNode', id: 1, cancel: false });
  metadata.apply({ kind: 'setReplicationFactor', topicId: 1, replicationFactor: 2 });
  metadata.apply({ kind: 'preferPrimary', id: 3, node: 1 });
  expect(metadata.logStreams.get(3)).toMatchObject({ preferred: 1, replicationFactor: 2 });
  metadata.apply({ kind: 'seal', id: 1, byOperator: true });
  const other = new Metadata();
  other.restore(snapshotCodec.decode(snapshotCodec.encode(metadata.snapshot())));
  expect(other.snapshot()).toEqual(metadata.snapshot());
  for (const [id, { history }] of metadata.logStreams) {
    expect(other.logStreams.get(id)!.history.from(1)).toEqual(history.from(1));
    expect(history.length).toBe(1_000);
  }
});

test('a snapshot restores a log stream that has no commit yet', () => {
  const metadata = ordered(1, 1);
  metadata.apply({ kind: 'registerLogStream', id: 2, topicId: 1, replicas: [1] });
  const other = new Metadata();
  other.restore(snapshotCodec.decode(snapshotCodec.encode(metadata.snapshot())));
  expect(other.snapshot()).toEqual(metadata.snapshot());
});

test('a commit costs a snapshot a few bytes, and nothing that is packed is copied for it', () => {
  const metadata = ordered(20, 2_000);
  const { histories, ...rest } = metadata.snapshot();
  const bytes = snapshotCodec.encode({ histories, ...rest });
  expect(bytes.length).toBeLessThan(20 * 2_000 * 4);
  // Time grows with what is encoded anew: the commits that do not fill a piece yet.
  const again = metadata.snapshot().histories;
  for (const [i, { pieces, tail }] of again.entries()) {
    expect(pieces.every((it, k) => it === histories[i]!.pieces[k])).toBe(true);
    expect(tail.length).toBeLessThan(256 * 4);
  }
});

test('a snapshot that was written before there were feature levels is read', () => {
  const metadata = new Metadata();
  const { decode } = commandCodec(FIRST_FEATURE_LEVEL);
  for (const it of OLD_COMMANDS) expect(metadata.apply(decode(it)).result.ok).toBe(true);
  const old = snapshotCodec.decode(OLD_SNAPSHOT);
  expect(old).toEqual(metadata.snapshot());
  expect(snapshotCodec.decode(snapshotCodec.encode(old))).toEqual(old);
});

test('one from before holds were known is read', () => {
  const { holds: _, ...topic } = ordered(1, 1).snapshot().topics[0]!;
  const state = JSON.stringify({ topics: [topic], deletedTopics: [topic], logStreams: [] });
  const back = snapshotCodec.decode(Snapshot.encode(Snapshot.create({ format: 1, state })));
  expect(back.topics).toEqual([{ ...topic, holds: [] }]);
  expect(back.deletedTopics).toEqual([{ ...topic, holds: [] }]);
});

test('one of a later format, or above what the member supports, is refused and leaves the state as it was', () => {
  const later = Snapshot.encode(Snapshot.create({ format: 4 }));
  expect(() => snapshotCodec.decode(later)).toThrow(/APPLY_FAILED.*format 4/);
  const metadata = ordered(1, 1);
  const before = metadata.snapshot();
  const above = new Metadata().snapshot();
  above.featureLevel = NEWEST_FEATURE_LEVEL + 1;
  const back = snapshotCodec.decode(snapshotCodec.encode(above));
  expect(() => metadata.restore(back)).toThrow(/APPLY_FAILED.*start this member with the version/);
  expect(metadata.snapshot()).toEqual(before);
});
