import fc from 'fast-check';
import { Metadata } from './metadata.ts';
import {
  bytesBehind,
  describeRetention,
  expiredUpTo,
  type Retention,
  type StoredLogStream,
} from './retention.ts';

/** A record of a topic, as it really is. */
interface Stored {
  readonly stream: number;
  readonly bytes: number;
  readonly ageMs: number;
}

const record = fc.record({
  stream: fc.nat(2),
  bytes: fc.integer({ min: 1, max: 50 }),
  youngerMs: fc.nat(5),
});

const topic = fc.record({
  records: fc.array(record, { maxLength: 60 }),
  trimmed: fc.nat(20),
  /** Records of a log stream that are freed together. */
  each: fc.integer({ min: 1, max: 7 }),
  known: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  timed: fc.boolean(),
});

const limits = {
  bytes: fc.integer({ min: 1, max: 1_500 }),
  ageMs: fc.integer({ min: 1, max: 300 }),
};

type Topic = Parameters<Parameters<typeof topic.map>[0]>[0];

/** GLSN i + 1 is record i. */
function agesOf({ records }: Topic): Stored[] {
  let ageMs = records.reduce((sum, it) => sum + it.youngerMs, 0);
  return records.map((it) => {
    ageMs -= it.youngerMs;
    return { ...it, ageMs };
  });
}

/** What replicas would tell of it. */
function told({ trimmed, each, known, timed, ...it }: Topic): (StoredLogStream | undefined)[] {
  const all = agesOf({ trimmed, each, known, timed, ...it }).map((record, i) => {
    return { ...record, glsn: i + 1 };
  });
  return known.map((isKnown, stream) => {
    if (!isKnown) return undefined;
    const own = all.filter((record) => record.stream === stream);
    const parts = [];
    for (let i = 0; i < own.length; i += each) {
      const some = own.slice(i, i + each);
      const kept = some.filter(({ glsn }) => glsn > trimmed);
      if (kept.length === 0) continue;
      const bytes = some.reduce((sum, record) => sum + record.bytes, 0);
      parts.push({
        glsn: kept[0]!.glsn,
        bytes: Math.floor((bytes * kept.length) / some.length),
        ageMs: timed ? some.at(-1)!.ageMs : 0,
        cut: kept.length < some.length,
      });
    }
    return { parts, highWatermark: all.length };
  });
}

test('what goes by a number of bytes leaves as many; what stays beyond them is a part of each log stream', () => {
  fc.assert(
    fc.property(topic, limits.bytes, (it, bytes) => {
      const upTo = expiredUpTo({ bytes }, told(it));
      const records = agesOf(it);
      const kept = records.slice(Math.max(upTo, it.trimmed));
      const sum = kept.reduce((total, record) => total + record.bytes, 0);
      if (upTo > it.trimmed) expect(sum).toBeGreaterThanOrEqual(bytes);
      if (!it.known.every(Boolean)) return;
      // Each log stream may keep the part that is cut now and the one that was cut before, and one part made it enough.
      expect(sum).toBeLessThan(bytes + 7 * it.each * 50);
    }),
    { numRuns: 2_000 },
  );
});

test('nothing goes by its age that is not as old for sure', () => {
  fc.assert(
    fc.property(topic, limits.ageMs, (it, ageMs) => {
      const upTo = expiredUpTo({ ageMs }, told(it));
      const records = agesOf(it);
      for (const record of records.slice(it.trimmed, Math.max(it.trimmed, upTo))) {
        expect(record.ageMs).toBeGreaterThanOrEqual(ageMs);
      }
      if (!it.timed || !it.known.every(Boolean)) {
        // An unknown log stream, or an unknown time, keeps what it has.
        if (records.some(({ stream }, i) => i >= it.trimmed && (!it.known[stream] || !it.timed))) {
          expect(upTo).toBeLessThan(records.length);
        }
        return;
      }
      const old = records.filter((record) => record.ageMs >= ageMs).length;
      // In each log stream, a part that holds one younger record stays.
      const behind = records.slice(Math.max(upTo, it.trimmed), old);
      for (const stream of [0, 1, 2]) {
        const stays = behind.findIndex((record) => record.stream === stream);
        if (stays !== 0) continue;
        expect(behind.filter((record) => record.stream === stream).length).toBeLessThan(it.each);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('the limit that is passed first counts, and without one nothing goes', () => {
  const parts = [1, 11, 21].map((glsn, i) => {
    return { glsn, bytes: 100, ageMs: 30 - 10 * i, cut: false };
  });
  const stored = [{ parts, highWatermark: 30 }];
  const upTo = (retention: Retention): number => expiredUpTo(retention, stored);
  expect(upTo({})).toBe(0);
  expect(upTo({ bytes: 200 })).toBe(10);
  expect(upTo({ bytes: 201 })).toBe(0);
  expect(upTo({ ageMs: 20 })).toBe(20);
  expect(upTo({ ageMs: 10 })).toBe(30);
  expect(upTo({ bytes: 200, ageMs: 20 })).toBe(20);
  expect(upTo({ bytes: 100, ageMs: 30 })).toBe(20);
  expect(expiredUpTo({ ageMs: 1 }, [])).toBe(0);
});

test('bytes after a position: whole parts, and a share of the one that it divides', () => {
  const parts = [1, 11, 21].map((glsn) => ({ glsn, bytes: 100, ageMs: 0, cut: false }));
  const behind = (position: number): number =>
    bytesBehind(position, [{ parts, highWatermark: 30 }], 30);
  expect([0, 5, 10, 20, 25, 30].map(behind)).toEqual([300, 250, 200, 100, 50, 0]);
});

describe('the commands', () => {
  function withTopic(): Metadata {
    const metadata = new Metadata();
    metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a:1' });
    metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
    return metadata;
  }

  test('a retention is replaced as a whole, and refused where it is none', () => {
    const metadata = withTopic();
    const set = (retention: Retention, topicId = 1) =>
      metadata.apply({ kind: 'setRetention', topicId, retention }).result;
    expect(set({ bytes: 10, ageMs: 20 })).toMatchObject({ ok: true });
    expect(set({ bytes: 0 })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(set({ ageMs: 1.5 })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(set({ bytes: 10 }, 7)).toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    expect(metadata.topics.get(1)!.retention).toEqual({ bytes: 10, ageMs: 20 });
    expect(describeRetention({ bytes: 10, ageMs: 20 })).toMatch(/10 bytes.*20 ms/);
    expect(set({})).toMatchObject({ ok: true });
    expect(metadata.topics.get(1)!.retention).toEqual({});
  });

  test('a topic begins after a position only before anything relies on where it begins', () => {
    const metadata = withTopic();
    const begin = (glsn: number, topicId = 1) =>
      metadata.apply({ kind: 'beginTopic', topicId, glsn }).result;
    expect(begin(-1)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(begin(4, 7)).toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    expect(begin(4)).toMatchObject({ ok: true });
    expect(begin(4)).toMatchObject({ ok: true });
    expect(begin(5)).toMatchObject({ code: 'FAILED_PRECONDITION' });
    metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] });
    metadata.apply({
      ...{ kind: 'unseal', id: 1, epoch: 1, members: [1], disks: [''], primaryProcess: 'a' },
    });
    const entries = [{ logStreamId: 1, epoch: 1, end: 3, persistedVersion: 0 }];
    const { changes } = metadata.apply({ kind: 'cut', entries });
    expect(changes.commits).toMatchObject([{ llsn: 1, glsn: 5, count: 3 }]);
    expect(metadata.topics.get(1)).toMatchObject({ trimmed: 4, highWatermark: 7 });
  });
});
