import { commandCodec } from '../../metadata-codec.ts';
import { Metadata, type MetadataCommand, NEWEST_FEATURE_LEVEL } from '../index.ts';

const open = (producer: number): MetadataCommand => ({
  kind: 'openProducer',
  topicId: 1,
  producer,
});

/** Topic 1 with so many open log streams. */
function topicOf(logStreams: number): Metadata {
  const metadata = new Metadata();
  metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  for (let id = 1; id <= logStreams; id++) {
    metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
    const opening = { id, epoch: 1, members: [1], disks: [''], primaryProcess: '' };
    metadata.apply({ kind: 'unseal', ...opening });
  }
  return metadata;
}

const placeOf = (metadata: Metadata, producer: number): number | undefined =>
  metadata.topics.get(1)!.producers.find(({ id }) => id === producer)?.logStream;

test('epochs grow over all producers of a topic, also over those that are not remembered', () => {
  const metadata = topicOf(2);
  for (let i = 1; i <= 2_500; i++) {
    expect(metadata.apply(open(i % 1_500)).result).toEqual({ ok: true, value: i });
  }
  expect(metadata.topics.get(1)!.producers).toHaveLength(1_000);
});

test('a producer stays in its log stream, sealed or not, until that is removed', () => {
  const metadata = topicOf(3);
  const places = [1, 2, 3].map((it) => {
    metadata.apply(open(it));
    return placeOf(metadata, it)!;
  });
  expect(new Set(places).size).toBe(3);
  metadata.apply({ kind: 'registerLogStream', id: 4, topicId: 1, replicas: [1] });
  metadata.apply({ kind: 'seal', id: places[0]!, byOperator: true });
  for (const it of [1, 2, 3, 1]) metadata.apply(open(it));
  expect([1, 2, 3].map((it) => placeOf(metadata, it))).toEqual(places);
  metadata.apply({ kind: 'unregisterLogStream', id: places[0]! });
  metadata.apply(open(1));
  // One of those that are open.
  expect(places.slice(1)).toContain(placeOf(metadata, 1));
});

test('is refused where there is nothing to append to', () => {
  const metadata = topicOf(0);
  expect(metadata.apply(open(1)).result).toMatchObject({ ok: false, code: 'FAILED_PRECONDITION' });
  const elsewhere = { kind: 'openProducer', topicId: 2, producer: 1 } as const;
  expect(metadata.apply(elsewhere).result).toMatchObject({ code: 'TOPIC_NOT_FOUND' });
});

test('lies in the log as it was given', () => {
  const { encode, decode } = commandCodec(NEWEST_FEATURE_LEVEL);
  const command = open(2 ** 53 - 1);
  expect(decode(encode(command))).toEqual(command);
});
