import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { sha256 } from './sha256.ts';

test('it is SHA-256, however what is summed is cut into parts', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 });
  fc.assert(
    fc.property(parts, (given) => {
      const hash = createHash('sha256');
      for (const it of given) hash.update(it);
      expect(Buffer.from(sha256(...given)).toString('hex')).toBe(hash.digest('hex'));
    }),
    { numRuns: 500 },
  );
});

test.each([0, 55, 56, 63, 64, 65, 119, 120, 128])('%d bytes', (length) => {
  const bytes = new Uint8Array(length).fill(0xa5);
  expect(Buffer.from(sha256(bytes)).toString('hex')).toBe(
    createHash('sha256').update(bytes).digest('hex'),
  );
});
