import { DurationHistogram } from './duration-histogram.ts';

test('what took as long as a bound is in its bucket, and what took longer than all in the last', () => {
  const histogram = new DurationHistogram([1, 5]);
  for (const ms of [0, 1, 1.5, 5, 6, 100]) histogram.observe(ms);
  const before = histogram.counts;
  expect(before).toEqual({ boundsMs: [1, 5], counts: [2, 2, 2], sumMs: 113.5 });
  histogram.observe(2);
  expect(before.counts).toEqual([2, 2, 2]);
});
