import { done, opening, register } from './commands.fixture.ts';
import { lastCopiesOn, Metadata, type Report } from './index.ts';

/** Whether node 1 may have the last copy of a log stream with five records in epoch 1, by what node 2 says. */
function isLast(more: Partial<Report>, isUp = true, end = 5): boolean {
  const metadata = new Metadata();
  for (const id of [1, 2]) done(metadata, register(id));
  done(metadata, { kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  done(metadata, { kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2] });
  done(metadata, opening(1, [1, 2]));
  const entry = { logStreamId: 1, epoch: 1, end, persistedVersion: 0 };
  done(metadata, { kind: 'cut', entries: [entry] });
  const said: Report = {
    ...{ logStreamId: 1, epoch: 1, end: 5, persistedVersion: 0, state: 'open' },
    ...more,
  };
  const report = (_: number, node: number) => (node === 2 ? said : undefined);
  return lastCopiesOn(1, { metadata, isUp: () => isUp, report }).length > 0;
}

test.each<[string, boolean, Partial<Report>]>([
  ['has all', false, {}],
  ['learns, and has all', false, { state: 'learning', epoch: 0 }],
  ['has less', true, { end: 4 }],
  ['learns, and has less', true, { state: 'learning', end: 4 }],
  ['failed', true, { state: 'failed' }],
  ['is damaged', true, { state: 'damaged' }],
  ['has as many records, of an epoch of before', true, { state: 'sealing', epoch: 0 }],
])('a storage node beside one that %s: it may have the last copy: %s', (_, expected, more) => {
  expect(isLast(more)).toBe(expected);
});

test('what is on a node that is down is no other copy, and of nothing there is no last one', () => {
  expect([isLast({}, false), isLast({ end: 0 }, true, 0)]).toEqual([true, false]);
});
