import { SeededRandom } from '../../testing/simulator/random.ts';
import { keyHash } from './key-hash.ts';
import { KeyTable, keysUnknownUpTo } from './key-table.ts';

const exact = (version: number) => ({ version, atMost: false });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a table of keys', () => {
  test('the version of a key is its last record, ordered or not, and goes back with what is cut off', () => {
    const table = new KeyTable(10);
    expect(table.versionOf(7)).toEqual(exact(0));
    table.note(7, 1);
    table.note(8, 2);
    table.ordered(2);
    table.note(7, 3);
    table.note(7, 4);
    table.note(9, 5);
    expect([7, 8, 9].map((it) => table.versionOf(it).version)).toEqual([4, 2, 5]);
    table.cut(3);
    expect([7, 8, 9].map((it) => table.versionOf(it).version)).toEqual([3, 2, 0]);
    table.cut(2);
    expect(table.versionOf(7)).toEqual(exact(1));
  });

  test('says of a key that it may have forgotten up to where it may have a record', () => {
    const table = new KeyTable(2);
    for (const [i, hash] of [7, 8, 7, 9].entries()) table.note(hash, i + 1);
    table.ordered(4);
    expect([7, 9].map((it) => table.versionOf(it))).toEqual([exact(3), exact(4)]);
    expect([8, 10].map((it) => table.versionOf(it))).toEqual(
      Array(2).fill({ version: 2, atMost: true }),
    );
  });

  test('of records that it has not seen it says nothing', () => {
    const table = new KeyTable(2);
    table.adopt(keysUnknownUpTo(5));
    table.note(7, 6);
    expect([7, 8].map((it) => table.versionOf(it))).toEqual([
      exact(6),
      { version: 5, atMost: true },
    ]);
    table.adopt(keysUnknownUpTo(3));
    expect(table.floor).toBe(5);
  });

  test('never says less than a model that forgets nothing, and follows from any snapshot with the records behind it', () => {
    const wrong: string[] = [];
    for (let seed = 1; seed <= 100; seed++) {
      const random = new SeededRandom(seed);
      const limit = 1 + random.below(6);
      let table = new KeyTable(limit);
      let records: number[] = [];
      let ordered = 0;
      let snapshot = table.snapshot();
      for (let step = 0; step < 120; step++) {
        const kind = random.below(10);
        if (kind < 6) {
          records.push(random.below(9));
          table.note(records.at(-1)!, records.length);
        } else if (kind < 8) {
          ordered += random.below(records.length - ordered + 1);
          table.ordered(ordered);
        } else if (kind < 9) {
          records = records.slice(0, ordered + random.below(records.length - ordered + 1));
          table.cut(records.length);
        } else if (random.below(2) === 0) {
          snapshot = table.snapshot();
        } else {
          table = new KeyTable(limit);
          table.adopt(snapshot);
          for (const [i, hash] of records.entries()) table.note(hash, i + 1);
          table.ordered(ordered);
        }
        for (let hash = 0; hash < 9; hash++) {
          const last = records.lastIndexOf(hash) + 1;
          const { version, atMost } = table.versionOf(hash);
          const isTrue = atMost ? last <= version : last === version;
          if (!isTrue) wrong.push(`seed ${seed}: ${version}, and it is ${last}`);
        }
        if (table.snapshot().keys.length > limit) wrong.push(`seed ${seed}: too many`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test('a hash tells keys apart, and stays what it is', () => {
  const keys = Array.from({ length: 20_000 }, (_, i) => `account-${i}`);
  const hashes = new Set(['', '\0', ...keys].map((it) => keyHash(bytes(it))));
  expect(hashes.size).toBe(keys.length + 2);
  expect([...hashes].filter((it) => !Number.isSafeInteger(it))).toEqual([]);
  // It lies in files.
  expect([keyHash(bytes('')), keyHash(bytes('a'))]).toEqual([2552495220886915, 2818621726882049]);
});
