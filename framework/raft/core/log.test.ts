import { encodeBatch } from '../../base/index.ts';
import { SeededRandom } from '../../testing/index.ts';
import {
  BATCH_OVERHEAD_BYTES,
  costOf,
  type EntryBatch,
  encodeConfiguration,
  endOf,
  type LogShape,
  RaftLog,
} from './index.ts';
import { configurationOf, logOf, PAYLOAD, votersUpTo } from './scenario.fixture.ts';

const EMPTY: LogShape = {
  baseIndex: 0,
  baseTerm: 0,
  runs: [],
  last: 0,
  snapshotIndex: 0,
  snapshotTerm: 0,
  configurations: [{ index: 0, configuration: votersUpTo(3) }],
};

/** What one entry of the tests costs. */
const COST = PAYLOAD.length + BATCH_OVERHEAD_BYTES;

/** A log of one entry per term, all in memory. */
function log(terms: readonly number[] = [], recentBytesMax = Infinity): RaftLog {
  const made = new RaftLog(EMPTY, recentBytesMax);
  for (const batch of logOf(terms)) made.append(batch);
  return made;
}

/** The same, of which the entries up to `base` are gone. */
function compacted(terms: readonly number[], base: number): RaftLog {
  const made = log(terms);
  made.commitTo(base);
  made.compact(base, base);
  return made;
}

const entry = (index: number, term: number, payload = PAYLOAD, count = 1): EntryBatch => ({
  index,
  term,
  count,
  payload,
});

/** Entries from `index` on, one per term. */
const entries = (index: number, ...terms: number[]): EntryBatch[] =>
  terms.map((term, i) => entry(index + i, term));

const termsFrom = (it: RaftLog, from: number, to: number): (number | undefined)[] =>
  Array.from({ length: to - from + 1 }, (_, i) => it.termAt(from + i));

describe('comparing logs', () => {
  test.each([
    // entries that arrive, how many of them are here already: the log is 1, 2, 3 in terms 1, 2, 3
    [[], 0],
    [entries(1, 1, 2, 3), 3],
    [entries(2, 2, 3), 2],
    [entries(3, 3), 1],
    [entries(1, 1, 2, 3, 4, 4), 3],
    [entries(2, 2, 3, 4, 4), 2],
    [entries(4, 4, 4), 0],
    [entries(1, 4, 4), 0],
    [entries(2, 1, 4, 4), 0],
    [entries(2, 2, 2, 4), 1],
    [entries(3, 1, 2, 4, 4), 0],
  ] as const)('FindConflict: of %j the first %d are no news', (batches, known) => {
    expect(log([1, 2, 3]).present(batches)).toBe(known);
  });

  test('FindConflict: a batch of several entries is here when its last one is', () => {
    const { bytes } = encodeBatch(Array.from({ length: 3 }, () => new Uint8Array(10)));
    const some = log([1]);
    const batch = entry(2, 1, bytes, 3);
    expect(some.present([batch])).toBe(0);
    some.append(batch);
    expect([some.present([batch]), some.present([entry(2, 2, bytes, 3)])]).toEqual([1, 0]);
  });

  test('FindConflictByTerm: the last entry up to an index whose term is not above another, or else where the log begins', () => {
    const logs = [
      [],
      [1, 1, 1],
      [2, 2, 5, 5, 5],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 2, 3, 4, 5],
      [3, 3, 3, 7],
    ];
    for (const terms of logs) {
      for (let base = 0; base <= terms.length; base++) {
        const some = compacted(terms, base);
        const termOf = (index: number): number => (index === 0 ? 0 : terms[index - 1]!);
        for (let index = base; index <= terms.length; index++) {
          for (let term = 0; term <= 8; term++) {
            let expected = index;
            while (expected > base && termOf(expected) > term) expected--;
            expect([terms, base, index, term, some.lastWithTermUpTo(index, term)]).toEqual([
              terms,
              base,
              index,
              term,
              expected,
            ]);
          }
        }
      }
    }
  });

  test.each([
    [3, 4, true],
    [0, 4, true],
    [3, 3, true],
    [4, 3, true],
    [2, 3, false],
    [9, 2, false],
    [0, 0, false],
  ])(
    'IsUpToDate: a log that ends with entry %d of term %d, against 3 of term 3: %p',
    (index, term, expected) => {
      expect(log([1, 2, 3]).isUpToDate(index, term)).toBe(expected);
    },
  );

  test('IsUpToDate: what a log ends with is known too when all of it is in the snapshot', () => {
    for (const some of [compacted([1, 2, 3], 3), log()]) {
      if (some.last === 0) some.reset(3, 3, votersUpTo(3));
      expect([some.lastTerm, some.isUpToDate(3, 3), some.isUpToDate(2, 3)]).toEqual([
        3,
        true,
        false,
      ]);
    }
  });
});

describe('appending', () => {
  test.each([
    [3, [4], [1, 2, 2, 4]],
    [2, [2, 2], [1, 2, 2, 2]],
    [1, [3], [1, 3]],
    [0, [5, 6], [5, 6]],
  ])(
    'Append, LogMaybeAppend: 1, 2, 2 cut behind %d and followed by %j is %j',
    (last, more, then) => {
      const some = log([1, 2, 2]);
      some.truncate(last);
      for (const batch of entries(last + 1, ...more)) some.append(batch);
      expect([some.last, some.lastTerm]).toEqual([then.length, then.at(-1)]);
      expect(termsFrom(some, 1, then.length)).toEqual(then);
      expect(some.batches(1, Infinity)!.map((it) => it.term)).toEqual(then);
    },
  );

  test('LogMaybeAppend: without a gap, and in growing terms', () => {
    const some = log([1, 2]);
    for (const batch of [entry(4, 2), entry(2, 2), entry(3, 1)])
      expect(() => some.append(batch)).toThrow();
    expect(some.last).toBe(2);
  });

  test('LogMaybeAppend: what is committed is never cut off', () => {
    const some = log([1, 2, 2]);
    some.commitTo(2);
    expect(() => some.truncate(1)).toThrow();
    some.truncate(2);
    expect([some.last, some.commit]).toEqual([2, 2]);
  });

  test('CommitTo: moves forward only, and not past the log', () => {
    const some = log([1, 2, 2]);
    some.commitTo(2);
    some.commitTo(1);
    expect(some.commit).toBe(2);
    expect(() => some.commitTo(4)).toThrow();
    expect(some.commit).toBe(2);
    some.commitTo(3);
    expect(some.commit).toBe(3);
  });

  test('a configuration is in force from its entry on, and no more when that is cut off', () => {
    const some = log([1]);
    for (const [index, size] of [
      [2, 4],
      [3, 5],
    ] as const)
      some.append(entry(index, 1, encodeConfiguration(votersUpTo(size))));
    const sizes = [1, 2, 3, 9].map((it) => some.configurationAt(it).voters.length);
    expect(sizes).toEqual([3, 4, 5, 5]);
    some.truncate(2);
    expect([some.configurationIndex, some.configuration.voters.length]).toEqual([2, 4]);
    some.truncate(1);
    expect([some.configurationIndex, some.configuration.voters.length]).toEqual([0, 3]);
  });
});

describe('compaction', () => {
  test('CompactionSideEffects, Term, IsOutOfBounds: below it there is nothing, at it the term, behind it all as before', () => {
    const some = compacted([1, 1, 2, 2, 2, 3], 4);
    expect(termsFrom(some, 3, 7)).toEqual([undefined, 2, 2, 3, undefined]);
    expect([some.baseIndex, some.last, some.lastTerm]).toEqual([4, 6, 3]);
    for (const from of [1, 4]) expect(some.batches(from, Infinity)).toBeUndefined();
    expect(some.batches(5, Infinity)!.map((it) => it.index)).toEqual([5, 6]);
    expect([some.matches(4, 2), some.matches(4, 1), some.matches(3, 2)]).toEqual([
      true,
      false,
      false,
    ]);
    for (const batch of entries(7, 3, 4)) some.append(batch);
    expect(termsFrom(some, 4, 8)).toEqual([2, 2, 3, 3, 4]);
  });

  test('Compaction: only of what is committed, and never back', () => {
    const some = log([1, 1, 2, 2]);
    some.commitTo(3);
    expect(() => some.compact(4, 4)).toThrow();
    expect(() => some.compact(2, 3)).toThrow();
    some.compact(3, 3);
    expect(() => some.compact(2, 2)).toThrow();
    expect([some.baseIndex, some.snapshotIndex, some.snapshotTerm]).toEqual([3, 3, 2]);
    expect(some.last).toBe(4);
  });

  test('Compaction: entries may be kept behind the snapshot, for members that are a little late', () => {
    const some = log([1, 1, 2, 2]);
    some.commitTo(4);
    some.compact(3, 1);
    expect(some).toMatchObject({ baseIndex: 1, snapshotIndex: 3, snapshotTerm: 2 });
    expect(termsFrom(some, 0, 4)).toEqual([undefined, 1, 1, 2, 2]);
    expect(some.batches(2, Infinity)!.map((it) => it.index)).toEqual([2, 3, 4]);
  });

  test('TermWithUnstableSnapshot, LogRestore: behind a snapshot from elsewhere nothing is left of the log before', () => {
    const some = log([1, 1, 2, 2]);
    const configuration = configurationOf({ voters: [7, 8, 9] });
    some.reset(9, 5, configuration);
    expect(some).toMatchObject({ baseIndex: 9, last: 9, commit: 9, snapshotIndex: 9, lastTerm: 5 });
    expect(some.configuration).toBe(configuration);
    expect(termsFrom(some, 8, 10)).toEqual([undefined, 5, undefined]);
    expect(some.batches(1, Infinity)).toBeUndefined();
    expect(() => some.append(entry(5, 5))).toThrow();
    for (const batch of entries(10, 5, 6)) some.append(batch);
    expect(termsFrom(some, 9, 11)).toEqual([5, 5, 6]);
    some.truncate(9);
    expect([some.last, some.lastTerm]).toEqual([9, 5]);
  });

  test('LogRestore: the configuration that is in force at the snapshot stays, with those behind it', () => {
    const some = log([1]);
    for (const [index, size] of [
      [2, 4],
      [3, 5],
    ] as const)
      some.append(entry(index, 1, encodeConfiguration(votersUpTo(size))));
    some.commitTo(3);
    some.compact(2, 2);
    expect([2, 3].map((it) => some.configurationAt(it).voters.length)).toEqual([4, 5]);
    some.compact(3, 3);
    expect([some.configurationIndex, some.configuration.voters.length]).toEqual([3, 5]);
  });
});

describe('reading', () => {
  test.each([
    [0, 1],
    [COST, 1],
    [2 * COST - 1, 1],
    [2 * COST, 2],
    [3 * COST, 3],
    [Infinity, 5],
  ])('Slice: %d bytes are %d entries, and at least one', (bytes, count) => {
    const found = log([1, 1, 1, 2, 2, 2]).batches(2, bytes)!;
    expect(found.map((it) => it.index)).toEqual([2, 3, 4, 5, 6].slice(0, count));
  });

  test('Scan: page by page every entry comes once, however large they are', () => {
    const some = log();
    for (let index = 1; index <= 30; index++)
      some.append(entry(index, 1, new Uint8Array((index * 97) % 700)));
    for (const bytes of [0, 500, 1_000, 5_000]) {
      const seen: number[] = [];
      while (seen.length < 30) {
        const page = some.batches(seen.length + 1, bytes)!;
        const size = page.reduce((sum, it) => sum + costOf(it), 0);
        expect(page.length === 1 || size <= bytes).toBe(true);
        seen.push(...page.map((it) => it.index));
      }
      expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    }
  });

  test('Slice: from within a batch there are its other entries, byte by byte', () => {
    const commands = ['a', 'bb', '', 'dddd'].map((it) => new TextEncoder().encode(it));
    const some = log([1]);
    some.append(entry(2, 1, encodeBatch(commands).bytes, 4));
    for (let from = 2; from <= 5; from++) {
      const { bytes } = encodeBatch(commands.slice(from - 2));
      expect(some.batches(from, Infinity)).toEqual([entry(from, 1, bytes, 6 - from)]);
    }
  });

  test('the newest entries are in memory as far as they fit, one in any case; the terms of all others are known', () => {
    const some = log([1, 1, 2, 2, 3, 3], 2 * COST);
    expect(some.batches(4, Infinity)).toBeUndefined();
    expect(some.batches(5, Infinity)!.map((it) => it.index)).toEqual([5, 6]);
    expect(termsFrom(some, 0, 6)).toEqual([0, 1, 1, 2, 2, 3, 3]);
    some.append(entry(7, 3, new Uint8Array(10 * COST)));
    expect(some.batches(6, Infinity)).toBeUndefined();
    expect(some.batches(7, Infinity)).toHaveLength(1);
    some.truncate(6);
    expect(some.batches(6, Infinity)).toBeUndefined();
    for (const batch of entries(7, 4, 4)) some.append(batch);
    expect(some.batches(7, Infinity)!.map((it) => it.term)).toEqual([4, 4]);
  });

  test('a log from the disk begins with nothing in memory', () => {
    const runs = [
      { index: 3, term: 2 },
      { index: 5, term: 4 },
    ];
    const shape = { baseIndex: 2, baseTerm: 1, runs, last: 6, snapshotIndex: 4, snapshotTerm: 2 };
    const some = new RaftLog({ ...EMPTY, ...shape }, Infinity);
    expect([some.commit, some.last, some.lastTerm]).toEqual([4, 6, 4]);
    expect(termsFrom(some, 1, 7)).toEqual([undefined, 1, 2, 2, 4, 4, undefined]);
    expect(some.batches(3, Infinity)).toBeUndefined();
    some.append(entry(7, 4));
    expect(some.batches(7, Infinity)).toEqual([entry(7, 4)]);
    for (const wrong of [{ last: 3 }, { baseIndex: 5 }, { configurations: [] }])
      expect(() => new RaftLog({ ...EMPTY, ...shape, ...wrong }, Infinity)).toThrow();
  });

  test('whatever is appended, cut off, committed and compacted, the log says what a plain list says', () => {
    const random = new SeededRandom('log');
    for (let round = 0; round < 100; round++) {
      const some = log([], 4 * COST);
      const plain: number[] = [];
      let term = 1;
      for (let step = 0; step < 60; step++) {
        const what = random.below(6);
        if (what < 3) {
          term += random.below(4) === 0 ? 1 : 0;
          plain.push(term);
          some.append(entry(plain.length, term));
        } else if (what === 3) {
          const last = plain.length - random.below(plain.length - some.commit + 1);
          plain.length = last;
          some.truncate(last);
          // Also one that is lower than what was cut off.
          term = (plain.at(-1) ?? 1) + random.below(3);
        } else if (what === 4)
          some.commitTo(some.commit + random.below(plain.length - some.commit + 1));
        else {
          const index = some.snapshotIndex + random.below(some.commit - some.snapshotIndex + 1);
          some.compact(index, some.baseIndex + random.below(index - some.baseIndex + 1));
        }
        expect([some.last, some.lastTerm]).toEqual([plain.length, plain.at(-1) ?? 0]);
        const from = some.baseIndex + 1;
        expect(termsFrom(some, from, some.last)).toEqual(plain.slice(from - 1));
        if (some.baseIndex > 0) expect(some.termAt(some.baseIndex)).toBe(plain[some.baseIndex - 1]);
        for (let index = from; index <= some.last; index++) {
          const found = some.batches(index, Infinity);
          if (found === undefined) continue;
          expect(found.map((it) => it.term)).toEqual(plain.slice(index - 1));
          expect(endOf(found.at(-1)!)).toBe(some.last);
        }
      }
    }
  });
});
