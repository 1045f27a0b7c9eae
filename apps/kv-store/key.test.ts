import fc from 'fast-check';
import {
  bytesOfKey,
  isInRange,
  keyOfBytes,
  keyOfText,
  keysWithPrefix,
  onlyKey,
  textOfKey,
} from './key.ts';

/** With many bytes that are the last or the first. */
const bytes = fc.array(fc.oneof(fc.constantFrom(0, 1, 0xfe, 0xff), fc.nat(255)), { maxLength: 5 });

test('keys are bytes in their order, and text where they are text', () => {
  fc.assert(
    fc.property(bytes, bytes, fc.string({ unit: 'grapheme' }), (a, b, text) => {
      const [x, y] = [Buffer.from(a), Buffer.from(b)];
      expect(Buffer.from(bytesOfKey(keyOfBytes(x)))).toEqual(x);
      expect(Math.sign(Buffer.compare(x, y))).toBe(
        keyOfBytes(x) < keyOfBytes(y) ? -1 : keyOfBytes(x) > keyOfBytes(y) ? 1 : 0,
      );
      expect(textOfKey(keyOfText(text))).toBe(text);
      expect(keyOfText(text)).toBe(keyOfBytes(Buffer.from(text)));
    }),
  );
  expect(textOfKey(keyOfBytes(Uint8Array.of(0xff)))).toBeUndefined();
});

test('a prefix stands for the keys that begin with it, and a key alone for itself', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const [prefix, key] = [keyOfBytes(Buffer.from(a)), keyOfBytes(Buffer.from(b))];
      expect(isInRange(key, keysWithPrefix(prefix))).toBe(key.startsWith(prefix));
      expect(isInRange(`${prefix}${key}` as never, keysWithPrefix(prefix))).toBe(true);
      expect(isInRange(key, onlyKey(prefix))).toBe(key === prefix);
    }),
  );
});
