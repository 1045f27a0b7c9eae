import fc from 'fast-check';
import { TurnBudget } from './turn-budget.ts';

/** Turns that a test ends itself. */
function turns() {
  let due: (() => void)[] = [];
  return {
    defer: (run: () => void): void => {
      due.push(run);
    },
    end: async (): Promise<void> => {
      const now = due;
      due = [];
      for (const run of now) run();
      await Promise.resolve();
    },
    get isDue(): boolean {
      return due.length > 0;
    },
  };
}

test('who asks for little waits for nothing', async () => {
  const clock = turns();
  const budget = new TurnBudget(clock, 10);
  for (let turn = 0; turn < 5; turn++) {
    expect(budget.take(5)).toBeUndefined();
    expect(budget.take(4)).toBeUndefined();
    await clock.end();
  }
});

test('no turn has more than its budget and one piece of work, and all comes in the order of the calls', async () => {
  const costs = fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fc.array(costs, { minLength: 1, maxLength: 5 }), async (arrivals) => {
      const clock = turns();
      const budget = new TurnBudget(clock, 10);
      const done: number[] = [];
      let inTurn: number[] = [];
      const work = (id: number, cost: number): void => {
        done.push(id);
        inTurn.push(cost);
      };
      let calls = 0;
      let turn = 0;
      while (turn < arrivals.length || clock.isDue) {
        for (const cost of arrivals[turn++] ?? []) {
          const id = calls++;
          const wait = budget.take(cost);
          if (wait === undefined) work(id, cost);
          else void wait.then(() => work(id, cost));
        }
        const beforeLast = inTurn.slice(0, -1).reduce((sum, it) => sum + it, 0);
        expect(beforeLast).toBeLessThan(10);
        inTurn = [];
        await clock.end();
      }
      expect(done).toEqual(Array.from({ length: calls }, (_, i) => i));
    }),
  );
});
