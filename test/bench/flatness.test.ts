import { trendOf } from './flatness.ts';

const minutes = Array.from({ length: 30 }, (_, i) => i / 3);

function trend(values: readonly number[], slack = 0) {
  return trendOf({ name: 'heap', minutes, values, slack });
}

test('what grows steadily is not flat, however it saws', () => {
  const saw = minutes.map((it, i) => 100 + 5 * it + (i % 4) * 10);
  expect(trend(saw)).toMatchObject({ flat: false });
  expect(trend(saw).perMinute).toBeCloseTo(5, 0);
});

test('what saws around a level, or shrinks, is flat', () => {
  expect(trend(minutes.map((_, i) => 100 + (i % 4) * 40)).flat).toBe(true);
  expect(trend(minutes.map((it) => 100 - it)).flat).toBe(true);
});

test('what ends with its highest point is flat all the same, and a step in the middle is not', () => {
  expect(trend(minutes.map((_, i) => (i === 29 ? 200 : 100))).flat).toBe(true);
  expect(trend(minutes.map((_, i) => (i < 15 ? 100 : 200))).flat).toBe(false);
});

test('what is small may grow by its slack', () => {
  const growing = minutes.map((it) => 1 + it / 2);
  expect(trend(growing, 6).flat).toBe(true);
  expect(trend(growing, 4).flat).toBe(false);
});
