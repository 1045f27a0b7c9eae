import { headerArgument, timeArgument } from './record-fields.ts';

test('a time is one of the calendar, or how long ago', () => {
  expect(timeArgument('2026-01-01T00:00:00Z')).toBe(Date.UTC(2026, 0, 1));
  expect(timeArgument('2026-01-01T01:00:00+01:00')).toBe(Date.UTC(2026, 0, 1));
  expect(timeArgument('2026-01-01')).toBe(Date.UTC(2026, 0, 1));
  for (const [text, ms] of [
    ['0s', 0],
    ['30s', 30_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ] as const) {
    const before = Date.now();
    const time = timeArgument(text);
    expect(time + ms).toBeGreaterThanOrEqual(before);
    expect(time + ms).toBeLessThanOrEqual(Date.now());
  }
});

test.each(['', '10', '10 m', '-5m', 'm', '1y', 'yesterday', '2026', '2026-13-01'])(
  'refuses "%s" as a time',
  (text) => {
    expect(() => timeArgument(text)).toThrow(/30s, 10m/);
  },
);

test('headers gather, with whatever comes after the first =', () => {
  const one = headerArgument('a=b=c', undefined);
  expect(headerArgument('a=', one)).toEqual([
    ['a', 'b=c'],
    ['a', ''],
  ]);
  for (const text of ['a', '=a', '']) expect(() => headerArgument(text)).toThrow(/name=value/);
});
