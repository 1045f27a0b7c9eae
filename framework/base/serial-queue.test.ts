import fc from 'fast-check';
import { SerialQueue } from './serial-queue.ts';

/** A piece of work: how many turns of the microtask queue it takes, how it ends, and how it is asked for. */
const task = fc.record({ hops: fc.nat(5), fails: fc.boolean(), posted: fc.boolean() });

test('tasks run in the order of the calls, one at a time, and each settles as it ended', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(task, { maxLength: 30 }), async (tasks) => {
      const order: number[] = [];
      const failures: unknown[] = [];
      let running = 0;
      const queue = new SerialQueue((error) => failures.push(error));
      const outcomes = tasks.map(({ hops, fails, posted }, i) => {
        const work = async (): Promise<number> => {
          expect(++running).toBe(1);
          // What failed before is known before the next one begins.
          expect(failures).toEqual(order.filter((it) => tasks[it]!.fails));
          for (let hop = 0; hop < hops; hop++) await undefined;
          order.push(i);
          running--;
          if (fails) throw i;
          return i;
        };
        if (posted) return queue.post(work);
        return queue.run(work).then(
          (value) => ['done', value],
          (error: unknown) => ['failed', error],
        );
      });
      await queue.settled();
      expect(order).toEqual(tasks.map((_, i) => i));
      expect(failures).toEqual(order.filter((it) => tasks[it]!.fails));
      expect(await Promise.all(outcomes)).toEqual(
        tasks.map(({ fails, posted }, i) => (posted ? undefined : [fails ? 'failed' : 'done', i])),
      );
    }),
  );
});

test('a task that throws at once fails like one that rejects', async () => {
  const queue = new SerialQueue();
  const failed = queue.run(() => {
    throw new Error('no');
  });
  const next = queue.run(() => 'yes');
  await expect(failed).rejects.toThrow('no');
  await expect(next).resolves.toBe('yes');
});

test('settled waits for what was asked for before, not for what came later', async () => {
  const queue = new SerialQueue();
  let finish = (): void => {};
  queue.post(() => undefined);
  const settled = queue.settled();
  queue.post(
    () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
  );
  await settled;
  await undefined;
  finish();
  await queue.settled();
});
