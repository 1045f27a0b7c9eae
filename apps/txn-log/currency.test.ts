import fc from 'fast-check';
import { shownAmount } from './currency.ts';

test.each([
  [0, 2, '0.00'],
  [7, 2, '0.07'],
  [-7, 2, '-0.07'],
  [1234, 2, '12.34'],
  [-1234, 0, '-1234'],
  [1234, 3, '1.234'],
  [Number.MAX_SAFE_INTEGER, 12, '9007.199254740991'],
])('%d with the exponent %d is %s', (amount, exponent, shown) => {
  expect(shownAmount(amount, exponent)).toBe(shown);
});

test('no digit is lost', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.nat(12), (amount, exponent) => {
      expect(Number(shownAmount(amount, exponent).replace('.', ''))).toBe(amount);
    }),
  );
});
