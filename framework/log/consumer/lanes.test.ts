import fc from 'fast-check';
import { Lanes } from './lanes.ts';

test('tasks of a key run one after the other, no more at a time than may', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.nat(3), { nil: undefined }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (keys, concurrency) => {
        const lanes = new Lanes(concurrency);
        const busy = new Set<unknown>();
        const begun: number[] = [];
        let running = 0;
        await Promise.all(
          keys.map((key, i) =>
            lanes.add(key, async () => {
              expect(key !== undefined && busy.has(key)).toBe(false);
              busy.add(key);
              begun.push(i);
              expect(++running).toBeLessThanOrEqual(concurrency);
              for (let turn = 0; turn < i % 3; turn++) await Promise.resolve();
              running--;
              busy.delete(key);
            }),
          ),
        );
        await lanes.idle();
        expect([...begun].sort((a, b) => a - b)).toEqual(keys.map((_, i) => i));
        for (const key of [0, 1, 2, 3]) {
          const own = begun.filter((it) => keys[it] === key);
          expect(own).toEqual([...own].sort((a, b) => a - b));
        }
      },
    ),
  );
});

test('what has not begun is dropped, and what waits for it goes on', async () => {
  const lanes = new Lanes(1);
  let finish = (): void => {};
  const ran: string[] = [];
  const first = lanes.add('a', async () => {
    ran.push('first');
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
  });
  const others = ['a', 'b'].map((key) => lanes.add(key, async () => void ran.push(key)));
  lanes.drop();
  await Promise.all(others);
  finish();
  await first;
  await lanes.idle();
  await lanes.add('a', async () => void ran.push('later'));
  expect(ran).toEqual(['first', 'later']);
});
