import fc from 'fast-check';
import { Watermark } from './watermark.ts';

test('the position is never beyond a record that is not done, and reaches the last one that was begun', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 60 }), fc.nat(5), (picks, begin) => {
      const watermark = new Watermark(begin);
      const open: number[] = [];
      let newest = begin;
      for (const pick of picks) {
        if (pick < 10 || open.length === 0) {
          watermark.begin(++newest, 3);
          open.push(newest);
        } else {
          watermark.end(open.splice(pick % open.length, 1)[0]!);
        }
        expect(watermark.position).toBe(open.length === 0 ? newest : Math.min(...open) - 1);
        expect([watermark.count, watermark.bytes]).toEqual([open.length, open.length * 3]);
        expect(watermark.span).toBe(newest - watermark.position);
      }
    }),
  );
});
