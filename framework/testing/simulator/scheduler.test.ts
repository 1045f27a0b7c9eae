import { SeededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';

test('what waits again and again for no time at all is found', () => {
  const scheduler = new Scheduler(new SeededRandom(1));
  // Added to the time, this rest of a float is nothing.
  const beat = (): void => void scheduler.after(1e-14, beat);
  scheduler.after(1_000, beat);
  const run = (): void => {
    for (let i = 0; i < 1_000_000; i++) scheduler.step();
  };
  expect(run).toThrow('it stands at 1000 ms');
});

test('many events that each take a little time are no standstill', () => {
  const scheduler = new Scheduler(new SeededRandom(1));
  const beat = (): void => void scheduler.after(0.001, beat);
  scheduler.after(0, beat);
  for (let i = 0; i < 300_000; i++) scheduler.step();
  expect(scheduler.nowMs).toBeGreaterThan(299);
});
