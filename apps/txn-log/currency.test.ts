import fc from 'fast-check';
import { shownAmount } from './currency.ts';

test.each([
  [0n, 2, '0.00'],
  [7n, 2, '0.07'],
  [-7n, 2, '-0.07'],
  [1234n, 2, '12.34'],
  [-1234n, 0, '-1234'],
  [1234n, 3, '1.234'],
  [2n ** 63n - 1n, 2, '92233720368547758.07'],
])('%d with the exponent %d is %s', (amount, exponent, shown) => {
  expect(shownAmount(amount, exponent)).toBe(shown);
});

test('no digit is lost', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.nat(12), (amount, exponent) => {
      expect(BigInt(shownAmount(amount, exponent).replace('.', ''))).toBe(amount);
    }),
  );
});
