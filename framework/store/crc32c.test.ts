import { crc32c as native } from '@node-rs/crc32';
import fc from 'fast-check';
import { crc32c, crc32cPlain } from './crc32c.ts';

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
