import { commandCodec } from '../../metadata-codec.ts';
import { snapshotCodec } from '../../metadata-repository/snapshot-codec.ts';
import { Metadata, type MetadataCommand, NEWEST_FEATURE_LEVEL } from '../index.ts';

const fence = (token: number, logStreamId = 0): MetadataCommand => ({
  kind: 'fence',
  topicId: 1,
  logStreamId,
  token,
});
const draw: MetadataCommand = { kind: 'drawFencingToken', topicId: 1 };

/** Topic 1 with so many log streams. */
function topicOf(logStreams: number): Metadata {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  for (let id = 1; id <= logStreams; id++) add(metadata, id);
  return metadata;
}

function add(metadata: Metadata, id: number): void {
  metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
}

const fences = (metadata: Metadata): number[] =>
  [...metadata.logStreams.values()].map((it) => it.fence);

test('tokens never fall, may be set again, and are those of new log streams too', () => {
  const metadata = topicOf(2);
  const first = metadata.apply(fence(5));
  expect([first.result.ok, [...first.changes.reassigned.keys()]]).toEqual([true, [1, 2]]);
  const again = metadata.apply(fence(5));
  expect([again.result.ok, again.changes.reassigned.size]).toEqual([true, 0]);
  expect(metadata.apply(fence(4)).result).toMatchObject({ ok: false, code: 'CONDITION_FAILED' });
  add(metadata, 3);
  expect(fences(metadata)).toEqual([5, 5, 5]);
});

test('one log stream may be fenced higher, and the topic not below it', () => {
  const metadata = topicOf(2);
  metadata.apply(fence(3));
  metadata.apply(fence(7, 2));
  add(metadata, 3);
  expect(fences(metadata)).toEqual([3, 7, 3]);
  expect(metadata.apply(fence(6)).result).toMatchObject({ code: 'CONDITION_FAILED' });
  expect(fences(metadata)).toEqual([3, 7, 3]);
  expect(metadata.apply(fence(6, 2)).result).toMatchObject({ code: 'CONDITION_FAILED' });
  metadata.apply(fence(7));
  expect(fences(metadata)).toEqual([7, 7, 7]);
});

test('a token that is drawn is higher than all before, and fences nobody', () => {
  const metadata = topicOf(1);
  expect(metadata.apply(draw).result).toEqual({ ok: true, value: 1 });
  expect(metadata.apply(draw).result).toEqual({ ok: true, value: 2 });
  metadata.apply(fence(9, 1));
  expect(metadata.apply(draw).result).toEqual({ ok: true, value: 10 });
  expect([fences(metadata), metadata.topics.get(1)!.fence]).toEqual([[9], 0]);
});

test('what makes no sense is refused', () => {
  const metadata = topicOf(1);
  for (const token of [0, -1, 1.5, 2 ** 53]) {
    expect(metadata.apply(fence(token)).result).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  expect(metadata.apply(fence(1, 2)).result).toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
  for (const it of [fence(1), draw]) {
    expect(metadata.apply({ ...it, topicId: 2 } as MetadataCommand).result).toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
  }
  metadata.apply(fence(2 ** 53 - 1));
  expect(metadata.apply(draw).result).toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test('lie in the log and in a snapshot as they were given', () => {
  const { encode, decode } = commandCodec(NEWEST_FEATURE_LEVEL);
  for (const it of [fence(2 ** 53 - 1, 3), draw]) expect(decode(encode(it))).toEqual(it);
  const metadata = topicOf(2);
  for (const it of [fence(5), fence(6, 2), draw]) metadata.apply(it);
  const restored = new Metadata();
  restored.restore(snapshotCodec.decode(snapshotCodec.encode(metadata.snapshot())));
  expect(restored.snapshot()).toEqual(metadata.snapshot());
  expect(restored.topics.get(1)).toMatchObject({ fence: 5, newestToken: 7 });
});
