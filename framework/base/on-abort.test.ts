import { getEventListeners } from 'node:events';
import { World } from '../testing/index.ts';
import { sleep } from './clock.ts';
import { inTime, unlessAborted } from './in-time.ts';
import { onAbort } from './on-abort.ts';
import { Waiters } from './waiters.ts';
import { Wakeups } from './wakeups.ts';

const never = (): Promise<never> => new Promise(() => {});

test.each<[string, (signal: AbortSignal, world: World) => Promise<unknown>]>([
  ['sleep', (signal, world) => sleep(world.ports('a').clock, 1_000, signal)],
  ['wait for a change', (signal) => new Wakeups().wait(signal)],
  ['wait for something of their own', (signal) => new Waiters<number>().wait(1, { signal })],
  ['wait for work', (signal) => unlessAborted(never(), signal)],
  [
    'wait for so long',
    (signal, world) => inTime(world.ports('a').clock, 1_000, signal, never, () => 'late'),
  ],
])('many that %s with one signal are one listener of it', async (_, wait) => {
  const world = new World('signal');
  await world.play(async () => {
    const ending = new AbortController();
    const all = Array.from({ length: 50 }, () => wait(ending.signal, world).catch(String));
    expect(getEventListeners(ending.signal, 'abort')).toHaveLength(1);
    ending.abort('enough');
    await Promise.all(all);
  });
});

test('all are told in order, but those that called it off, also meanwhile', () => {
  const ending = new AbortController();
  const called: number[] = [];
  const forget = [0, 1, 2, 3].map((it) =>
    onAbort(ending.signal, () => {
      called.push(it);
      if (it === 0) forget[2]!();
    }),
  );
  forget[1]!();
  ending.abort();
  expect(called).toEqual([0, 3]);
  onAbort(ending.signal, () => called.push(4));
  expect(called).toEqual([0, 3, 4]);
});
