import fc from 'fast-check';
import { ownBytes } from './own-bytes.ts';

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
