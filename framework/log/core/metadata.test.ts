import fc from 'fast-check';
import { done, opening, register } from './commands.fixture.ts';
import { Metadata, type MetadataChanges, type MetadataCommand, type SetReplicas } from './index.ts';

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
  return metadata;
}

const cut = (end: number, epoch = 1, logStreamId = 1): MetadataCommand => ({
  kind: 'cut',
  entries: [{ logStreamId, epoch, end, persistedVersion: 0 }],
});

/** What a command changes that is not refused. */
function changes(metadata: Metadata, command: MetadataCommand): MetadataChanges {
  const applied = metadata.apply(command);
  expect(applied.result).toMatchObject({ ok: true });
  return applied.changes;
}

test.each<[string, MetadataCommand, string]>([
  ['another address', { ...register(1), address: 'elsewhere' }, 'ALREADY_EXISTS'],
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
  ['to seal an unknown one', { kind: 'seal', id: 9, byOperator: false }, 'LOG_STREAM_NOT_FOUND'],
  ['to release an unknown one', { kind: 'release', id: 9 }, 'LOG_STREAM_NOT_FOUND'],
  [
    'to open an open one',
    { kind: 'unseal', id: 1, epoch: 2, members: [1], disks: [''], primaryProcess: '' },
    'FAILED_PRECONDITION',
  ],
  [
    'other replicas of a running one',
    { kind: 'setReplicas', id: 1, replicas: [1, 2], revision: 1, holders: [1, 2, 3] },
    'FAILED_PRECONDITION',
  ],
  ['to unregister a running one', { kind: 'unregisterLogStream', id: 1 }, 'FAILED_PRECONDITION'],
  ['a storage node 0', register(0), 'INVALID_ARGUMENT'],
  ['a storage node beyond all ids', register(2 ** 31), 'INVALID_ARGUMENT'],
  ['a storage node without address', { ...register(4), address: '' }, 'INVALID_ARGUMENT'],
  ['a topic -1', { kind: 'registerTopic', id: -1, acknowledge: 'all' }, 'INVALID_ARGUMENT'],
  [
    'a log stream beyond all ids',
    { kind: 'registerLogStream', id: 2 ** 31, topicId: 1, replicas: [1] },
    'INVALID_ARGUMENT',
  ],
  ['to trim beyond the tail', { kind: 'trim', topicId: 1, glsn: 1 }, 'BEYOND_TAIL'],
  ['to trim an unknown topic', { kind: 'trim', topicId: 9, glsn: 1 }, 'TOPIC_NOT_FOUND'],
])('refuses %s, and changes nothing', (_, command, code) => {
  const metadata = cluster();
  const before = metadata.snapshot();
  const { result, changes: changed } = metadata.apply(command);
  expect(result).toMatchObject({ ok: false, code });
  expect(metadata.snapshot()).toEqual(before);
  expect(changed.reassigned.size).toBe(0);
});

test('who takes out a node in use is told to drain it', () => {
  const { result } = cluster().apply({ kind: 'unregisterStorageNode', id: 1 });
  expect(JSON.stringify(result)).toContain('varlog node drain 1');
});

test('a sealed log stream opens in the next epoch only, on replicas of its own', () => {
  const metadata = cluster();
  done(metadata, cut(5));
  expect(done(metadata, { kind: 'seal', id: 1, byOperator: false })).toBe(5);
  const open = (epoch: number, members: number[]) =>
    metadata.apply({
      kind: 'unseal',
      id: 1,
      epoch,
      members,
      disks: members.map(() => ''),
      primaryProcess: 'p',
    }).result;
  expect(open(1, [1])).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(open(3, [1])).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(open(2, [])).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(open(2, [9])).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(open(2, [3, 1])).toMatchObject({ ok: true });
  expect(metadata.logStreams.get(1)).toMatchObject({ epoch: 2, sealed: false, members: [3, 1] });
});

test('a log stream that an operator sealed stays so until it is released', () => {
  const metadata = cluster();
  done(metadata, { kind: 'seal', id: 1, byOperator: true });
  done(metadata, { kind: 'seal', id: 1, byOperator: false });
  expect(metadata.logStreams.get(1)!.sealedByOperator).toBe(true);
  done(metadata, { kind: 'release', id: 1 });
  expect(metadata.logStreams.get(1)).toMatchObject({ sealedByOperator: false, sealed: true });
});

describe('other replicas of a sealed log stream', () => {
  const change = (metadata: Metadata, replicas: number[], more: Partial<SetReplicas> = {}) => {
    const { revision } = metadata.logStreams.get(1)!;
    const holders = more.holders ?? replicas;
    return metadata.apply({ kind: 'setReplicas', id: 1, replicas, revision, holders, ...more });
  };
  const refused = { code: 'FAILED_PRECONDITION' };
  /** A log stream of members 1, 2 and 3, any majority of which has all five records. */
  const sealedAt5 = (): Metadata => {
    const metadata = cluster();
    for (const id of [4, 5]) done(metadata, register(id));
    done(metadata, cut(5));
    done(metadata, { kind: 'seal', id: 1, byOperator: false });
    return metadata;
  };

  test('keep so many members that one of them must have its records, however often they change', () => {
    const metadata = sealedAt5();
    expect(change(metadata, [4, 5]).result).toMatchObject(refused);
    expect(change(metadata, [3, 4]).result).toMatchObject(refused);
    const { result, changes: changed } = change(metadata, [2, 3]);
    expect(result).toMatchObject({ ok: true });
    expect(metadata.logStreams.get(1)).toMatchObject({ replicas: [2, 3], members: [2, 3] });
    // Those who are out of it are told too.
    expect([...changed.reassigned.get(1)!].sort()).toEqual([1, 2, 3]);
    // Neither may be taken away now, also not for one that comes back with nothing.
    expect(change(metadata, [3]).result).toMatchObject(refused);
    expect(change(metadata, [3, 1]).result).toMatchObject(refused);
    expect(change(metadata, [1, 2, 3]).result).toMatchObject({ ok: true });
    expect(change(metadata, [1, 3]).result).toMatchObject(refused);
    done(metadata, opening(2, [1, 3]));
    done(metadata, { kind: 'seal', id: 1, byOperator: false });
    // All that the epoch began with had everything, and both were needed for anything new.
    expect(change(metadata, [3]).result).toMatchObject({ ok: true });
  });

  test('keep one that is up and has said that it holds all of it', () => {
    const metadata = sealedAt5();
    expect(change(metadata, [2, 3], { holders: [] }).result).toMatchObject(refused);
    expect(change(metadata, [2, 3, 4], { holders: [1, 4] }).result).toMatchObject({
      ...refused,
      next: 'keep one of 1, 4',
    });
    expect(change(metadata, [2, 3, 4], { holders: [1, 2] }).result).toMatchObject({ ok: true });
  });

  test('do not count on a member whose disk was given up', () => {
    const metadata = sealedAt5();
    done(metadata, { ...register(1), disk: 'a' });
    done(metadata, opening(2, [2, 3]));
    done(metadata, { kind: 'seal', id: 1, byOperator: false });
    done(metadata, { kind: 'replaceStorageNode', id: 2, disk: 'b' });
    expect(change(metadata, [2, 4], { holders: [1, 2, 3] }).result).toMatchObject(refused);
    expect(change(metadata, [3, 4], { holders: [3] }).result).toMatchObject({ ok: true });
  });

  test('are all that it is to have: nothing joins or leaves any more, and none of before is preferred', () => {
    const metadata = cluster();
    for (const id of [4, 5]) done(metadata, register(id));
    done(metadata, { kind: 'raiseFeatureLevel', to: 6 });
    done(metadata, { kind: 'preferPrimary', id: 1, node: 1 });
    const { revision } = metadata.logStreams.get(1)!;
    const replicas = [1, 2, 3, 4];
    done(metadata, { kind: 'moveReplicas', id: 1, replicas, leaving: [3], revision });
    done(metadata, { kind: 'seal', id: 1, byOperator: false });
    expect(change(metadata, [2, 3]).result).toMatchObject({ ok: true });
    const set = { replicas: [2, 3], replicationFactor: 2, joining: [], leaving: [], preferred: 0 };
    expect(metadata.logStreams.get(1)).toMatchObject(set);
  });

  test('are free while nothing was ever ordered', () => {
    const metadata = cluster();
    done(metadata, register(4));
    done(metadata, { kind: 'seal', id: 1, byOperator: false });
    expect(change(metadata, [4], { holders: [] }).result).toMatchObject({ ok: true });
  });

  test('are refused to whoever has not seen the last change, with who made it', () => {
    const metadata = sealedAt5();
    const { revision } = metadata.logStreams.get(1)!;
    expect(change(metadata, [1, 2, 3, 4]).result).toMatchObject({ ok: true });
    expect(change(metadata, [1, 2, 3, 5], { revision }).result).toMatchObject({
      ...refused,
      what: 'log stream 1 was changed meanwhile: it was given the replicas 1, 2, 3, 4 by an operator',
    });
  });
});

test('a seal and an opening that follow from an earlier state are refused', () => {
  const metadata = cluster();
  const seen = metadata.logStreams.get(1)!.revision;
  done(metadata, { kind: 'seal', id: 1, byOperator: false, by: 'the repair of member 2' });
  const sealed = metadata.logStreams.get(1)!.revision;
  // Whoever lost that race must not seal the epoch that follows.
  done(metadata, { ...opening(2, [1, 2]), revision: sealed });
  expect(
    metadata.apply({ kind: 'seal', id: 1, byOperator: false, revision: seen }).result,
  ).toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  done(metadata, { kind: 'seal', id: 1, byOperator: false });
  const before = metadata.logStreams.get(1)!.revision;
  // An operator who seals it as well wants it to stay sealed.
  done(metadata, { kind: 'seal', id: 1, byOperator: true });
  expect(metadata.apply({ ...opening(3, [1, 2]), revision: before }).result).toMatchObject({
    what: 'log stream 1 was changed meanwhile: it was sealed at 0 by an operator',
  });
  expect(metadata.logStreams.get(1)).toMatchObject({ sealed: true, sealedByOperator: true });
});

test('an id that a caller chooses uses up itself alone', () => {
  const metadata = cluster();
  const last = 2 ** 31 - 1;
  done(metadata, { kind: 'registerTopic', id: last, acknowledge: 'all' });
  done(metadata, { kind: 'registerLogStream', id: last, topicId: last, replicas: [1] });
  done(metadata, { kind: 'registerTopic', id: 3, acknowledge: 'all' });
  const next = () => done(metadata, { kind: 'registerTopic', id: 0, acknowledge: 'all' });
  expect([next(), next()]).toEqual([2, 4]);
  expect(done(metadata, { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [1] })).toBe(2);
  done(metadata, { kind: 'unregisterTopic', id: last });
  const again = metadata.apply({ kind: 'registerTopic', id: last, acknowledge: 'all' }).result;
  expect(again).toMatchObject({ code: 'ALREADY_EXISTS' });
});

test('a storage node that was unregistered comes back when an operator registers it, not by itself', () => {
  const metadata = cluster();
  done(metadata, register(4));
  const { unregistered } = changes(metadata, { kind: 'unregisterStorageNode', id: 4 });
  expect([...unregistered]).toEqual([4]);
  expect(metadata.apply({ ...register(4), move: true }).result).toMatchObject({
    code: 'FAILED_PRECONDITION',
    what: 'storage node 4 was unregistered',
  });
  const restored = new Metadata();
  restored.restore(metadata.snapshot());
  expect(restored.apply({ ...register(4), move: true }).result).toMatchObject({ ok: false });
  done(restored, register(4));
  done(restored, { ...register(4), move: true, address: 'elsewhere' });
});

test('repeating a registration does no harm, and ids are never used again', () => {
  const metadata = cluster();
  expect(done(metadata, register(1))).toBe(0);
  const topic: MetadataCommand = { kind: 'registerTopic', id: 7, acknowledge: 'all' };
  expect([done(metadata, topic), done(metadata, topic)]).toEqual([7, 7]);
  done(metadata, { kind: 'unregisterTopic', id: 7 });
  expect(metadata.apply(topic).result).toMatchObject({ code: 'ALREADY_EXISTS' });
  expect(done(metadata, { ...topic, id: 0 } as MetadataCommand)).toBe(2);
  done(metadata, { kind: 'seal', id: 1, byOperator: true });
  done(metadata, { kind: 'unregisterLogStream', id: 1 });
  const stream: MetadataCommand = { kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] };
  expect(metadata.apply(stream).result).toMatchObject({ code: 'ALREADY_EXISTS' });
  done(metadata, { kind: 'unregisterStorageNode', id: 3 });
});

test('a deleted topic comes back with its log streams, sealed, and its nodes keep what they have', () => {
  const metadata = cluster();
  done(metadata, cut(9));
  done(metadata, { kind: 'unregisterTopic', id: 1 });
  expect(metadata.storageNodes.get(2)!.removed).toEqual([1]);
  const restored = new Metadata();
  restored.restore(metadata.snapshot());
  const { reassigned } = changes(restored, { kind: 'restoreTopic', id: 1 });
  expect([...reassigned.keys()]).toEqual([1]);
  expect(restored.topics.get(1)).toMatchObject({ highWatermark: 9, logStreams: [1] });
  expect(restored.logStreams.get(1)).toMatchObject({ end: 9, sealed: true, replicas: [1, 2, 3] });
  expect(restored.storageNodes.get(2)!.removed).toEqual([]);
  expect(restored.apply({ kind: 'restoreTopic', id: 2 }).result).toMatchObject({
    code: 'TOPIC_NOT_FOUND',
  });
});

test('a disk is bound to its node; another one only takes its place when it is replaced', () => {
  const metadata = cluster();
  const hello = (disk: string) => metadata.apply({ ...register(1), disk }).result;
  expect([hello('a'), hello('a')]).toEqual([
    { ok: true, value: 0 },
    { ok: true, value: 0 },
  ]);
  expect(hello('b')).toMatchObject({
    code: 'DISK_UNKNOWN',
    what: expect.stringMatching(/disk a.*disk b/),
    next: expect.stringMatching(
      /--members and --advertise.*only if.*varlog node replace 1 --disk b/,
    ),
  });
  done(metadata, { kind: 'seal', id: 1, byOperator: false });
  const opening = { kind: 'unseal' as const, id: 1, epoch: 2, members: [1], primaryProcess: 'p' };
  const { replaced } = changes(metadata, { kind: 'replaceStorageNode', id: 1, disk: 'b' });
  expect([...replaced]).toEqual([1]);
  expect(metadata.apply({ ...opening, disks: ['a'] }).result).toMatchObject({ ok: false });
  expect(hello('a')).toMatchObject({ code: 'DISK_UNKNOWN' });
  expect(hello('b')).toMatchObject({ ok: true });
  done(metadata, { ...opening, disks: ['b'] });
  done(metadata, { kind: 'replaceStorageNode', id: 1, disk: '' });
  expect([hello('a'), hello('b')]).toMatchObject([{ ok: false }, { ok: false }]);
  expect(hello('c')).toMatchObject({ ok: true });
  // Nor by a slip of whoever replaces it.
  const back = metadata.apply({ kind: 'replaceStorageNode', id: 1, disk: 'a' }).result;
  expect(back).toMatchObject({ code: 'DISK_UNKNOWN', what: expect.stringContaining('given up') });
  expect(hello('c')).toMatchObject({ ok: true });
});

test('trimming only goes forward, and every log stream of the topic hears of it', () => {
  const metadata = cluster();
  done(metadata, { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [2] });
  done(metadata, cut(9));
  const trim = (glsn: number) => changes(metadata, { kind: 'trim', topicId: 1, glsn }).reassigned;
  expect([...trim(5).keys()]).toEqual([1, 2]);
  expect(trim(3).size).toBe(0);
  expect(metadata.topics.get(1)!.trimmed).toBe(5);
});

const commands: fc.Arbitrary<MetadataCommand[]> = fc.array(
  fc.oneof<fc.MaybeWeightedArbitrary<MetadataCommand>[]>(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.nat(3), fc.nat(3), fc.nat(30))
        .map(([id, epoch, end]) => cut(end, epoch, id)),
    },
    fc.nat(4).map((id) => ({ kind: 'seal', id, byOperator: false })),
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
    fc
      .tuple(fc.nat(2), fc.nat(20), fc.constantFrom('a', 'b'))
      .map(([topicId, position, holder]) => ({ kind: 'hold', topicId, holder, position }) as const),
    fc.nat(3).map((id) => ({ kind: 'unregisterLogStream', id })),
    fc
      .tuple(fc.nat(3), fc.nat(4), fc.subarray([1, 2, 3], { minLength: 1 }))
      .map(
        ([id, revision, replicas]) =>
          ({ kind: 'setReplicas', id, replicas, revision, holders: replicas }) as const,
      ),
    fc.integer({ min: 3, max: 4 }).map((id) => ({ kind: 'unregisterStorageNode', id }) as const),
    fc.integer({ min: 3, max: 4 }).map((id) => ({ ...register(id), move: true })),
  ),
  { maxLength: 60 },
);

test('members that restore a snapshot and go on come to the same state and the same results', () => {
  fc.assert(
    fc.property(commands, fc.nat(60), (list, at) => {
      const one = cluster();
      const results = list.map((it) => one.apply(it).result);
      const two = cluster();
      const other = list.slice(0, at).map((it) => two.apply(it).result);
      const three = new Metadata();
      three.restore(two.snapshot());
      for (const it of list.slice(at)) other.push(three.apply(it).result);
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
        const { commits } = metadata.apply(command).changes;
        for (const { id, topicId } of metadata.logStreams.values()) topicOf.set(id, topicId);
        for (const commit of commits) {
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
