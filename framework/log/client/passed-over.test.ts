import fc from 'fast-check';
import { PassedOver } from './passed-over.ts';

test('whoever has dealt with a position has dealt with what is left out right after it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.array(fc.nat(59), { maxLength: 20 }),
      (isLeftOut, dealtWith) => {
        const passedOver = new PassedOver();
        for (const [position, it] of isLeftOut.entries()) {
          if (it) passedOver.add(position, position);
        }
        let reached = -1;
        for (const position of dealtWith.sort((a, b) => a - b)) {
          let expected = position;
          while (isLeftOut[expected + 1] === true) expected++;
          // What was dealt with before is forgotten: its user keeps the largest.
          reached = Math.max(reached, passedOver.reached(position));
          expect(reached).toBe(expected);
        }
      },
    ),
  );
});
