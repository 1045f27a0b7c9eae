import { tracingChannel } from 'node:diagnostics_channel';
import { realTracing } from './tracing.ts';

test('an operation is told to who listens, with its facts and how it ended', async () => {
  const heard: unknown[] = [];
  const note = (event: string) => (message: object) => void heard.push([event, { ...message }]);
  const listener = { start: note('start'), asyncEnd: note('asyncEnd'), error: note('error') };
  const subscribers = { ...listener, end: () => {}, asyncStart: () => {} };
  expect(realTracing.listens('append')).toBe(false);
  tracingChannel('varlog:append').subscribe(subscribers);
  expect([realTracing.listens('append'), realTracing.listens('read')]).toEqual([true, false]);
  expect(await realTracing.trace('append', { topic: 1 }, async () => 7)).toBe(7);
  const failure = new Error('no');
  const failing = realTracing.trace('append', { topic: 2 }, () => Promise.reject(failure));
  await expect(failing).rejects.toBe(failure);
  expect(heard).toEqual([
    ['start', { topic: 1 }],
    ['asyncEnd', { topic: 1, result: 7 }],
    ['start', { topic: 2 }],
    ['error', { topic: 2, error: failure }],
    ['asyncEnd', { topic: 2, error: failure }],
  ]);
  tracingChannel('varlog:append').unsubscribe(subscribers);
  expect(realTracing.listens('append')).toBe(false);
});
