import { crc32c as native } from '@node-rs/crc32';
import fc from 'fast-check';
import { crc32c, crc32cPlain, crc32cShift } from './crc32c.ts';

test('the check value of the standard', () => {
  const bytes = new TextEncoder().encode('123456789');
  expect(crc32cPlain(bytes, 0, 9, 0)).toBe(0xe3069283);
  expect(crc32c(bytes)).toBe(0xe3069283);
});

test('plain and native code agree, on any part and with any seed', () => {
  const bytes = fc.uint8Array({ maxLength: 1000 });
  fc.assert(
    fc.property(bytes, fc.nat(20), fc.nat(2 ** 32 - 1), (given, start, seed) => {
      const from = Math.min(start, given.length);
      const expected = native(given.subarray(from), seed);
      expect(crc32cPlain(given, from, given.length, seed)).toBe(expected);
      expect(crc32c(given, from, given.length, seed)).toBe(expected);
    }),
  );
});

test('the sum of two parts side by side follows from both sums and the length of the second', () => {
  const part = fc.uint8Array({ maxLength: 500 });
  fc.assert(
    fc.property(part, part, (first, second) => {
      const both = crc32c(second, 0, second.length, crc32c(first));
      const combined = (crc32cShift(crc32c(first), second.length) ^ crc32c(second)) >>> 0;
      expect(combined).toBe(both);
    }),
  );
});
