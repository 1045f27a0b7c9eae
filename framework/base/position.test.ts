import { type Epoch, type LogIndex, logIndex, type Term, term, type Version } from './position.ts';

test('a plain number may stand for a position of the cores, and one of another kind may not', () => {
  let at: LogIndex = logIndex(7) + 1;
  let inTerm: Term = term(3);
  let epoch: Epoch = 2;
  let version: Version = 5;
  // @ts-expect-error: a term is no index.
  at = inTerm;
  // @ts-expect-error: an index is no term.
  inTerm = at;
  // @ts-expect-error: a version is no epoch.
  epoch = version;
  // @ts-expect-error: an epoch is no version.
  version = epoch;
  expect([at, inTerm, epoch, version]).toEqual([3, 3, 5, 5]);
});

test.each([-1, 0.5, 2 ** 53, Number.NaN])('%d is no position', (value) => {
  expect(() => logIndex(value)).toThrow('is not a log index');
  expect(() => term(value)).toThrow('is not a term');
});
