import { type AppendCondition, checkCondition } from './append-condition.ts';
import { keyHash } from './key-hash.ts';
import { KeyTable } from './key-table.ts';

const key = new TextEncoder().encode('a');

function subject({ floor = 0 }: { floor?: number } = {}) {
  const keys = new KeyTable(10);
  if (floor > 0) keys.adopt({ llsn: floor, floor, keys: [] });
  keys.note(keyHash(key), 7);
  return { logStreamId: 3, end: 9, keys, fence: 5 };
}

describe('a condition of an append', () => {
  test.each<[AppendCondition, number]>([
    [{}, 0],
    [{ tail: 9 }, 9],
    [{ key: { key, version: 7 } }, 7],
    [{ key: { key, version: 9 } }, 9],
    [{ key: { key: new Uint8Array([1]), version: 0 } }, 0],
    [{ fence: 5 }, 0],
    [{ tail: 9, key: { key, version: 8 }, fence: 5 }, 9],
  ])('%j holds, and rests on the record at %i', (condition, restsOn) => {
    expect(checkCondition(condition, subject())).toBe(restsOn);
  });

  test.each<[AppendCondition, object]>([
    [{ tail: 8 }, { condition: 'tail', expected: 8, actual: 9 }],
    [{ tail: 10 }, { condition: 'tail', expected: 10, actual: 9 }],
    [{ key: { key, version: 6 } }, { condition: 'stream', expected: 6, actual: 7, atMost: false }],
    [{ key: { key, version: 10 } }, { condition: 'stream', expected: 10 }],
    [{ fence: 4 }, { condition: 'fence', expected: 4, actual: 5 }],
    [{ tail: 9, key: { key, version: 7 }, fence: 4 }, { condition: 'fence' }],
    [{ tail: 9, key: { key, version: 6 }, fence: 5 }, { condition: 'stream' }],
  ])('%j does not hold, for certain, and what is there is said', (condition, details) => {
    expect(() => checkCondition(condition, subject())).toThrow(
      expect.objectContaining({
        code: 'CONDITION_FAILED',
        outcome: 'notAppended',
        details: expect.objectContaining({ logStream: 3, ...details }),
      }),
    );
  });

  test('with a token that is not known holds perhaps where it is', () => {
    expect(() => checkCondition({ fence: 6 }, subject())).toThrow(
      expect.objectContaining({
        ...{ code: 'UNAVAILABLE', retryable: true, outcome: 'notAppended' },
        details: expect.objectContaining({ condition: 'fence', expected: 6, actual: 5 }),
      }),
    );
  });

  test('of a key that may have been forgotten holds for who has read as far as that may have been', () => {
    const other = new Uint8Array([1]);
    const at = subject({ floor: 4 });
    expect(() => checkCondition({ key: { key: other, version: 3 } }, at)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ actual: 4, atMost: true }) }),
    );
    expect(checkCondition({ key: { key: other, version: 4 } }, at)).toBe(4);
  });
});
