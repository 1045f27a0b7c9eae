import { bytesOf, durationOf, orNone, showBytes, showDuration } from './quantity.ts';

test.each([
  ['10GB', 10e9],
  ['512MiB', 512 * 1024 * 1024],
  ['1.5 kb', 1_500],
  ['4096', 4_096],
])('%s is a number of bytes', (text, bytes) => {
  expect(bytesOf(text)).toBe(bytes);
});

test.each([
  ['7d', 604_800_000],
  ['1w', 604_800_000],
  ['90s', 90_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
])('%s is a duration', (text, ms) => {
  expect(durationOf(text)).toBe(ms);
});

test.each(['', 'ten', '0', '-1', '10XB', '0.1', '1e3'])('"%s" is no number of bytes', (text) => {
  expect(() => bytesOf(text)).toThrow(/such as 10GB/);
});

test.each(['7', '7D', 'd', '0s', '3 fortnights'])('"%s" is no duration', (text) => {
  expect(() => durationOf(text)).toThrow(/such as 7d/);
});

test('none is no limit, and a number is one', () => {
  expect(orNone(bytesOf)('none')).toBe('none');
  expect(orNone(bytesOf)('1KB')).toBe(1_000);
});

test('what people see', () => {
  expect([0, 999, 1_000, 12_345, 999_999, 10e9].map(showBytes)).toEqual([
    ...['0 B', '999 B', '1 KB', '12.3 KB', '1 MB', '10 GB'],
  ]);
  expect([604_800_000, 86_400_000 * 2, 90_000, 1_500].map(showDuration)).toEqual([
    ...['1 w', '2 d', '90 s', '1500 ms'],
  ]);
});
