import fc from 'fast-check';
import { ownBytes, ownTogether } from './own-bytes.ts';

test('keeps the bytes, and little beside them', () => {
  fc.assert(
    fc.property(fc.nat(20_000), fc.nat(20_000), fc.nat(500), (before, behind, length) => {
      const buffer = new Uint8Array(before + length + behind).map((_, i) => i);
      const view = buffer.subarray(before, before + length);
      const own = ownBytes(view);
      expect(Buffer.from(own).equals(view)).toBe(true);
      expect(own.buffer.byteLength).toBeLessThanOrEqual(2 * length + 256);
    }),
  );
});

test('does not copy what fills its buffer', () => {
  const bytes = new Uint8Array(100_000);
  expect(ownBytes(bytes)).toBe(bytes);
  const view = bytes.subarray(10);
  expect(ownBytes(view)).toBe(view);
});

test('parts are kept in one buffer, which they fill for the most part', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(300)), fc.nat(5_000), (lengths, behind) => {
      const size = lengths.reduce((sum, it) => sum + it, 0);
      const buffer = new Uint8Array(size + behind).map((_, i) => i);
      const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, it) => sum + it, 0));
      const parts = lengths.map((it, i) => buffer.subarray(starts[i], starts[i]! + it));
      const own = ownTogether(parts);
      expect(own.map((it) => Buffer.from(it))).toEqual(parts.map((it) => Buffer.from(it)));
      expect(new Set(own.map((it) => it.buffer)).size).toBeLessThanOrEqual(1);
      for (const it of own) expect(it.buffer.byteLength).toBeLessThanOrEqual(2 * size + 256);
      if (behind <= size) for (const [i, it] of own.entries()) expect(it).toBe(parts[i]);
    }),
  );
});

test('parts of several buffers are brought into one', () => {
  const parts = [Uint8Array.of(1, 2), Uint8Array.of(3), new Uint8Array(0)];
  const own = ownTogether(parts);
  expect(own.map((it) => [...it])).toEqual([[1, 2], [3], []]);
  expect(own[0]!.buffer).toBe(own[1]!.buffer);
  expect(ownTogether([])).toEqual([]);
});
