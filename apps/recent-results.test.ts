import fc from 'fast-check';
import { RecentResults } from './recent-results.ts';

test('the newest results are known, the memory is bounded, and a snapshot goes on alike', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(40), fc.nat(40), (count, size, cut) => {
      let results = new RecentResults<number>(count);
      const whole = new RecentResults<number>(count);
      for (let i = 0; i < size; i++) {
        if (i === cut) {
          const copy = new RecentResults<number>(count);
          copy.restore(structuredClone(results.snapshot()));
          results = copy;
        }
        results.add(`${i}`, i);
        whole.add(`${i}`, i);
        for (let known = Math.max(0, i - count + 1); known <= i; known++) {
          expect(results.get(`${known}`)).toBe(known);
        }
        if (i >= 2 * count) expect(results.get(`${i - 2 * count}`)).toBeUndefined();
        expect(results.snapshot()).toEqual(whole.snapshot());
      }
    }),
  );
});
