import { commandCodec } from '../../metadata-codec.ts';
import { Metadata, type MetadataCommand, NEWEST_FEATURE_LEVEL } from '../index.ts';

const prefer = (node: number, revision?: number): MetadataCommand => ({
  kind: 'preferPrimary',
  id: 1,
  node,
  ...(revision === undefined ? {} : { revision }),
});

/** Log stream 1 on storage nodes 1, 2 and 3. */
function placed(): Metadata {
  const metadata = new Metadata();
  for (const id of [1, 2, 3]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2, 3] });
  return metadata;
}

test('the preferred replica comes first, and the others keep their order', () => {
  const metadata = placed();
  expect(metadata.apply(prefer(3)).result).toMatchObject({ ok: true });
  const stream = metadata.logStreams.get(1)!;
  expect(stream.replicas).toEqual([3, 1, 2]);
  expect(stream.changed).toBe('told to prefer storage node 3 as its primary by an operator');
  const { revision } = stream;
  expect(metadata.apply(prefer(3)).result).toMatchObject({ ok: true });
  expect(stream.revision).toBe(revision);
});

test('it is refused for a stranger, for an unknown log stream, and for a state that is gone', () => {
  const metadata = placed();
  const before = metadata.snapshot();
  expect(metadata.apply(prefer(9)).result).toMatchObject({
    code: 'INVALID_ARGUMENT',
    next: 'choose one of 1, 2, 3',
  });
  const elsewhere = { kind: 'preferPrimary', id: 9, node: 1 } as const;
  expect(metadata.apply(elsewhere).result).toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
  expect(metadata.apply(prefer(2, 7)).result).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(metadata.snapshot()).toEqual(before);
});

test('it comes back from the wire as it was', () => {
  const { encode, decode } = commandCodec(NEWEST_FEATURE_LEVEL);
  for (const it of [prefer(2), prefer(3, 0)]) expect(decode(encode(it))).toEqual(it);
});
