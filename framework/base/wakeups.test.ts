import fc from 'fast-check';
import { Wakeups } from './wakeups.ts';

const action = fc.oneof(
  { weight: 3, arbitrary: fc.constant('wait' as const) },
  fc.constant('wake' as const),
  fc.nat(20),
);

test('each waits once, for the next wake or the abort of its own signal', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const wakeups = new Wakeups();
      const woken = new Set<number>();
      const due = new Set<number>();
      const endings: AbortController[] = [];
      for (const it of actions) {
        if (it === 'wait') {
          const ending = new AbortController();
          const which = endings.push(ending) - 1;
          void wakeups.wait(ending.signal).then(() => woken.add(which));
        } else if (it === 'wake') {
          wakeups.wake();
          for (const which of endings.keys()) due.add(which);
        } else if (endings[it] !== undefined) {
          endings[it].abort();
          due.add(it);
        }
        for (let i = 0; i < 3; i++) await undefined;
        expect([...woken].sort()).toEqual([...due].sort());
      }
    }),
  );
});

test('who comes while others are woken waits for the next time', async () => {
  const wakeups = new Wakeups();
  let rounds = 0;
  const turning = (async () => {
    for (; rounds < 3; rounds++) await wakeups.wait();
  })();
  for (let i = 1; i <= 3; i++) {
    wakeups.wake();
    for (let hop = 0; hop < 3; hop++) await undefined;
    expect(rounds).toBe(i);
  }
  await turning;
});

test('an aborted signal does not wait', async () => {
  await new Wakeups().wait(AbortSignal.abort());
});
