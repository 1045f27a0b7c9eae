import fc from 'fast-check';
import { Metadata, type MetadataCommand } from './index.ts';

/** Three storage nodes, topic 1, and its open log stream 1 on all of them. */
function cluster(): Metadata {
  const metadata = new Metadata();
  for (const id of [1, 2, 3]) done(metadata, register(id));
  done(metadata, { kind: 'registerTopic', id: 0, acknowledge: 'majority' });
  done(metadata, { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [1, 2, 3] });
  done(metadata, {
    kind: 'unseal',
    id: 1,
    epoch: 1,
    members: [1, 2, 3],
    disks: ['', '', ''],
    primaryProcess: '',
  });
  metadata.takeChanges();
  return metadata;
}

const register = (id: number): MetadataCommand => ({
  kind: 'registerStorageNode',
  id,
  address: `node-${id}`,
});
const cut = (end: number, epoch = 1, logStreamId = 1): MetadataCommand => ({
  kind: 'cut',
  entries: [{ logStreamId, epoch, end, persistedVersion: 0 }],
});

function done(metadata: Metadata, command: MetadataCommand): number {
  const result = metadata.apply(command);
  if (!result.ok) throw new Error(`${result.code}: ${result.what}`);
  return result.value;
}

test.each<[string, MetadataCommand, string]>([
  [
    'another address',
    { ...register(1), address: 'elsewhere' } as MetadataCommand,
    'ALREADY_EXISTS',
  ],
  ['an unknown node', { kind: 'unregisterStorageNode', id: 9 }, 'NOT_FOUND'],
  ['a node in use', { kind: 'unregisterStorageNode', id: 1 }, 'FAILED_PRECONDITION'],
  [
    'a topic that exists',
    { kind: 'registerTopic', id: 1, acknowledge: 'majority' },
    'ALREADY_EXISTS',
  ],
  ['an unknown topic', { kind: 'unregisterTopic', id: 9 }, 'TOPIC_NOT_FOUND'],
  [
    'a log stream of nothing',
    { kind: 'registerLogStream', id: 0, topicId: 9, replicas: [1] },
    'TOPIC_NOT_FOUND',
  ],
  [
    'a log stream of no node',
    { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [] },
    'INVALID_ARGUMENT',
  ],
  [
    'a node twice',
    { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [1, 1] },
    'INVALID_ARGUMENT',
  ],
  [
    'an unknown replica',
    { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [1, 9] },
    'NOT_FOUND',
  ],
  [
    'a log stream that exists',
    { kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] },
    'ALREADY_EXISTS',
  ],
  ['an unknown log stream', { kind: 'unregisterLogStream', id: 9 }, 'LOG_STREAM_NOT_FOUND'],
  ['to seal an unknown one', { kind: 'seal', id: 9, hold: false }, 'LOG_STREAM_NOT_FOUND'],
  ['to release an unknown one', { kind: 'release', id: 9 }, 'LOG_STREAM_NOT_FOUND'],
  [
    'to open an open one',
    { kind: 'unseal', id: 1, epoch: 2, members: [1], disks: [''], primaryProcess: '' },
    'FAILED_PRECONDITION',
  ],
  [
    'to take away a member of an open one',
    { kind: 'setReplicas', id: 1, replicas: [1, 2] },
    'FAILED_PRECONDITION',
  ],
  ['to trim beyond the tail', { kind: 'trim', topicId: 1, glsn: 1 }, 'BEYOND_TAIL'],
  ['to trim an unknown topic', { kind: 'trim', topicId: 9, glsn: 1 }, 'TOPIC_NOT_FOUND'],
])('refuses %s, and changes nothing', (_, command, code) => {
  const metadata = cluster();
  const before = metadata.snapshot();
  expect(metadata.apply(command)).toMatchObject({ ok: false, code });
  expect(metadata.snapshot()).toEqual(before);
  expect(metadata.takeChanges().reassigned.size).toBe(0);
});

test('a sealed log stream opens in the next epoch only, on replicas of its own', () => {
  const metadata = cluster();
  done(metadata, cut(5));
  expect(done(metadata, { kind: 'seal', id: 1, hold: false })).toBe(5);
  const open = (epoch: number, members: number[]) =>
    metadata.apply({
      kind: 'unseal',
      id: 1,
      epoch,
      members,
      disks: members.map(() => ''),
      primaryProcess: 'p',
    });
  expect(open(1, [1])).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(open(3, [1])).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(open(2, [])).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(open(2, [9])).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(open(2, [3, 1])).toMatchObject({ ok: true });
  expect(metadata.logStreams.get(1)).toMatchObject({ epoch: 2, sealed: false, members: [3, 1] });
});

test('a log stream that an operator sealed stays held until it is released', () => {
  const metadata = cluster();
  done(metadata, { kind: 'seal', id: 1, hold: true });
  done(metadata, { kind: 'seal', id: 1, hold: false });
  expect(metadata.logStreams.get(1)!.held).toBe(true);
  done(metadata, { kind: 'release', id: 1 });
  expect(metadata.logStreams.get(1)).toMatchObject({ held: false, sealed: true });
});

test('new replicas of a sealed log stream keep at least one that has its records', () => {
  const metadata = cluster();
  for (const id of [4, 5]) done(metadata, register(id));
  done(metadata, { kind: 'seal', id: 1, hold: false });
  expect(metadata.apply({ kind: 'setReplicas', id: 1, replicas: [4, 5] })).toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  done(metadata, { kind: 'setReplicas', id: 1, replicas: [4, 2] });
  expect(metadata.logStreams.get(1)).toMatchObject({ replicas: [4, 2], members: [2] });
  // Those who are out of it are told too.
  expect([...metadata.takeChanges().reassigned.get(1)!].sort()).toEqual([1, 2, 3, 4]);
});

test('repeating a registration does no harm, and ids are never used again', () => {
  const metadata = cluster();
  expect(done(metadata, register(1))).toBe(0);
  const topic: MetadataCommand = { kind: 'registerTopic', id: 7, acknowledge: 'all' };
  expect([done(metadata, topic), done(metadata, topic)]).toEqual([7, 7]);
  done(metadata, { kind: 'unregisterTopic', id: 7 });
  expect(metadata.apply(topic)).toMatchObject({ code: 'ALREADY_EXISTS' });
  expect(done(metadata, { ...topic, id: 0 } as MetadataCommand)).toBe(8);
  done(metadata, { kind: 'unregisterLogStream', id: 1 });
  const stream: MetadataCommand = { kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] };
  expect(metadata.apply(stream)).toMatchObject({ code: 'ALREADY_EXISTS' });
  done(metadata, { kind: 'unregisterStorageNode', id: 3 });
});

test('a deleted topic comes back with its log streams, sealed, and its nodes keep what they have', () => {
  const metadata = cluster();
  done(metadata, cut(9));
  done(metadata, { kind: 'unregisterTopic', id: 1 });
  expect(metadata.storageNodes.get(2)!.removed).toEqual([1]);
  const restored = new Metadata();
  restored.restore(metadata.snapshot());
  restored.takeChanges();
  done(restored, { kind: 'restoreTopic', id: 1 });
  expect(restored.topics.get(1)).toMatchObject({ highWatermark: 9, logStreams: [1] });
  expect(restored.logStreams.get(1)).toMatchObject({ end: 9, sealed: true, replicas: [1, 2, 3] });
  expect(restored.storageNodes.get(2)!.removed).toEqual([]);
  expect([...restored.takeChanges().reassigned.keys()]).toEqual([1]);
  expect(restored.apply({ kind: 'restoreTopic', id: 2 })).toMatchObject({
    code: 'TOPIC_NOT_FOUND',
  });
});

test('a disk is bound to its node; another one only takes its place when it is replaced', () => {
  const metadata = cluster();
  const hello = (disk: string) => metadata.apply({ ...register(1), disk } as MetadataCommand);
  expect([hello('a'), hello('a')]).toEqual([
    { ok: true, value: 0 },
    { ok: true, value: 0 },
  ]);
  expect(hello('b')).toMatchObject({
    code: 'DISK_UNKNOWN',
    what: expect.stringMatching(/disk a.*disk b/),
    next: expect.stringContaining('varlog node replace 1 --disk b'),
  });
  done(metadata, { kind: 'seal', id: 1, hold: false });
  const opening = { kind: 'unseal' as const, id: 1, epoch: 2, members: [1], primaryProcess: 'p' };
  done(metadata, { kind: 'replaceStorageNode', id: 1, disk: 'b' });
  expect([...metadata.takeChanges().replaced]).toEqual([1]);
  expect(metadata.apply({ ...opening, disks: ['a'] })).toMatchObject({ ok: false });
  expect(hello('a')).toMatchObject({ code: 'DISK_UNKNOWN' });
  expect(hello('b')).toMatchObject({ ok: true });
  done(metadata, { ...opening, disks: ['b'] });
  done(metadata, { kind: 'replaceStorageNode', id: 1, disk: '' });
  expect([hello('a'), hello('b')]).toMatchObject([{ ok: false }, { ok: false }]);
  expect(hello('c')).toMatchObject({ ok: true });
});

test('trimming only goes forward, and every log stream of the topic hears of it', () => {
  const metadata = cluster();
  done(metadata, { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [2] });
  done(metadata, cut(9));
  metadata.takeChanges();
  done(metadata, { kind: 'trim', topicId: 1, glsn: 5 });
  expect([...metadata.takeChanges().reassigned.keys()]).toEqual([1, 2]);
  done(metadata, { kind: 'trim', topicId: 1, glsn: 3 });
  expect(metadata.topics.get(1)!.trimmed).toBe(5);
  expect(metadata.takeChanges().reassigned.size).toBe(0);
});

const commands: fc.Arbitrary<MetadataCommand[]> = fc.array(
  fc.oneof<fc.MaybeWeightedArbitrary<MetadataCommand>[]>(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.nat(3), fc.nat(3), fc.nat(30))
        .map(([id, epoch, end]) => cut(end, epoch, id)),
    },
    fc.nat(4).map((id) => ({ kind: 'seal', id, hold: false })),
    fc.tuple(fc.nat(4), fc.nat(4)).map(([id, epoch]) => ({
      kind: 'unseal',
      id,
      epoch,
      members: [1, 2],
      disks: ['', ''],
      primaryProcess: '',
    })),
    fc.nat(2).map((topicId) => ({ kind: 'registerLogStream', id: 0, topicId, replicas: [1, 2] })),
    fc.nat(2).map(() => ({ kind: 'registerTopic', id: 0, acknowledge: 'all' })),
    fc.tuple(fc.nat(2), fc.nat(20)).map(([topicId, glsn]) => ({ kind: 'trim', topicId, glsn })),
    fc.nat(3).map((id) => ({ kind: 'unregisterLogStream', id })),
  ),
  { maxLength: 60 },
);

test('members that restore a snapshot and go on come to the same state and the same results', () => {
  fc.assert(
    fc.property(commands, fc.nat(60), (list, at) => {
      const one = cluster();
      const results = list.map((it) => one.apply(it));
      const two = cluster();
      const other = list.slice(0, at).map((it) => two.apply(it));
      const three = new Metadata();
      three.restore(two.snapshot());
      for (const it of list.slice(at)) other.push(three.apply(it));
      expect(other).toEqual(results);
      expect(three.snapshot()).toEqual(one.snapshot());
    }),
  );
});

test('GLSNs are dense in each topic, LLSNs and versions in each log stream, whatever comes', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const metadata = cluster();
      const ends = new Map<string, number>();
      const next = (key: string, from: number, count: number): void => {
        expect({ key, from }).toEqual({ key, from: (ends.get(key) ?? 0) + 1 });
        ends.set(key, from + count - 1);
      };
      const topicOf = new Map<number, number>();
      for (const command of list) {
        const sealed = new Set(
          [...metadata.logStreams.values()].filter((it) => it.sealed).map((it) => it.id),
        );
        metadata.apply(command);
        for (const { id, topicId } of metadata.logStreams.values()) topicOf.set(id, topicId);
        for (const commit of metadata.takeChanges().commits) {
          const { logStreamId, glsn, llsn, count, version } = commit;
          expect(sealed.has(logStreamId)).toBe(false);
          next(`topic ${topicOf.get(logStreamId)}`, glsn, count);
          next(`llsn ${logStreamId}`, llsn, count);
          next(`version ${logStreamId}`, version, 1);
        }
      }
      for (const { id, highWatermark } of metadata.topics.values()) {
        expect(highWatermark).toBe(ends.get(`topic ${id}`) ?? 0);
      }
    }),
  );
});
