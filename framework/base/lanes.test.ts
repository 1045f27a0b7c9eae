import fc from 'fast-check';
import { Lanes } from './lanes.ts';

/** A piece of work: in which lane, if in one, how many turns of the microtask queue it takes, and how it ends. */
const lane = fc.option(fc.nat(4), { nil: undefined });
const task = fc.record({ lane, hops: fc.nat(5), fails: fc.boolean() });

test('tasks run side by side, so many at most, and those of one lane in the order of the calls', async () => {
  let most = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(task, { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (tasks, atOnce) => {
        const order: number[] = [];
        const failures: unknown[] = [];
        const running: number[] = [];
        const lanes = new Lanes<number>(atOnce, (error) => failures.push(error));
        const outcomes = tasks.map(({ lane, hops, fails }, i) =>
          lanes
            .run(lane, async () => {
              const busy = running.map((it) => tasks[it]!.lane);
              if (lane !== undefined) expect(busy).not.toContain(lane);
              running.push(i);
              expect(running.length).toBeLessThanOrEqual(atOnce);
              most = Math.max(most, running.length);
              for (let hop = 0; hop < hops; hop++) await undefined;
              running.splice(running.indexOf(i), 1);
              order.push(i);
              if (fails) throw i;
              return i;
            })
            .then(
              (value) => ['done', value],
              (error: unknown) => ['failed', error],
            ),
        );
        await lanes.settled();
        for (let lane = 0; lane <= 4; lane++) {
          const of = (all: number[]): number[] => all.filter((it) => tasks[it]!.lane === lane);
          expect(of(order)).toEqual(of(tasks.map((_, i) => i)));
        }
        expect(failures).toEqual(order.filter((it) => tasks[it]!.fails));
        expect(await Promise.all(outcomes)).toEqual(
          tasks.map(({ fails }, i) => [fails ? 'failed' : 'done', i]),
        );
      },
    ),
  );
  expect(most).toBe(4);
});

test('a lane has settled while others go on', async () => {
  const lanes = new Lanes<string>(2);
  let finish = (): void => {};
  lanes.post('slow', () => new Promise<void>((resolve) => (finish = resolve)));
  lanes.post('quick', () => {
    throw new Error('no');
  });
  await lanes.settled('quick');
  await lanes.settled('unheard of');
  finish();
  await lanes.settled();
});
