import { type MetadataChanges, mergeChanges } from './index.ts';
import { NO_CHANGES } from './metadata-changes.ts';

const commit = { logStreamId: 1, epoch: 1, version: 1, llsn: 1, glsn: 1, count: 1 };

/** One change of each kind, and nothing of the others. */
const KINDS: readonly Partial<MetadataChanges>[] = [
  { commits: [commit] },
  { reassigned: new Map([[1, new Set([1])]]) },
  { replaced: new Set([1]) },
  { moved: new Set([1]) },
  { unregistered: new Set([1]) },
];

test.each(KINDS)('a change that is alone in its command is not lost among others: %j', (change) => {
  const alone = { ...NO_CHANGES, ...change };
  expect(mergeChanges([NO_CHANGES, alone])).toEqual(alone);
  expect(mergeChanges([alone, NO_CHANGES])).toEqual(alone);
});

test('what concerns more nodes each time concerns all of them', () => {
  const of = (id: number, node: number): MetadataChanges => {
    return { ...NO_CHANGES, reassigned: new Map([[id, new Set([node])]]), moved: new Set([node]) };
  };
  const { reassigned, moved } = mergeChanges([of(1, 1), of(1, 2), of(2, 3)]);
  expect([...reassigned]).toEqual([
    [1, new Set([1, 2])],
    [2, new Set([3])],
  ]);
  expect(moved).toEqual(new Set([1, 2, 3]));
});
