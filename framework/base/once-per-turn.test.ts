import fc from 'fast-check';
import { World } from '../testing/index.ts';
import { OncePerTurn } from './once-per-turn.ts';

test('however often it is asked for, work is done once a turn, behind the rest of the turn', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(4), { maxLength: 12 }), async (asked) => {
      const world = new World('turns');
      await world.play(async () => {
        const { clock } = world.ports('a');
        let done = 0;
        const work = new OncePerTurn(clock, () => done++);
        let expected = 0;
        for (const times of asked) {
          for (let i = 0; i < times; i++) work.schedule();
          expect(done).toBe(expected);
          if (times > 0) expected++;
          await new Promise<void>((resolve) => clock.defer(resolve));
          expect(done).toBe(expected);
        }
      });
    }),
    { numRuns: 30 },
  );
});

test('what the work asks for itself is done in the next turn', () => {
  const deferred: (() => void)[] = [];
  let done = 0;
  const work = new OncePerTurn({ defer: (run) => void deferred.push(run) }, () => {
    if (++done === 1) work.schedule();
  });
  work.schedule();
  deferred.shift()!();
  expect(done).toBe(1);
  deferred.shift()!();
  expect(done).toBe(2);
  expect(deferred).toEqual([]);
});
