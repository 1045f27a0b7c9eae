import { takenUntil } from './usage-service.ts';

const stretch = (first: number, since: number) => ({ first, since, bytes: 100 });

test('the age of what is stored is that of what comes behind it, also where a file is empty yet', () => {
  const full = [stretch(1, 1_000), stretch(11, 2_000), stretch(21, 3_000)];
  expect(full.map((_, i) => takenUntil(full, i, 3_500))).toEqual([2_000, 3_000, 3_500]);
  // A file was begun, and nothing came since: what lies before it would never be old enough to go.
  const begun = [stretch(1, 1_000), stretch(11, 2_000), stretch(21, 0)];
  expect(begun.map((_, i) => takenUntil(begun, i, 2_500))).toEqual([2_000, 2_500, 2_500]);
  // The first frame of a file is damaged, or from before there were timestamps.
  const unknown = [stretch(1, 0), stretch(11, 0), stretch(21, 3_000)];
  expect(unknown.map((_, i) => takenUntil(unknown, i, 0))).toEqual([3_000, 3_000, 0]);
});
