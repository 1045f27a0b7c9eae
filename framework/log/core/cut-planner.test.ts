import fc from 'fast-check';
import { CutPlanner, Metadata, needed, type Report } from './index.ts';

function planner(acknowledge: 'majority' | 'all' = 'majority') {
  const metadata = new Metadata();
  for (const id of [1, 2, 3, 4]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2, 3] });
  metadata.apply({
    kind: 'unseal',
    id: 1,
    epoch: 1,
    members: [1, 2, 3],
    disks: ['', '', ''],
    primaryProcess: '',
  });
  return { metadata, planner: new CutPlanner(metadata) };
}

const report = (end: number, more: Partial<Report> = {}): Report => ({
  logStreamId: 1,
  epoch: 1,
  end,
  persistedVersion: 0,
  state: 'open',
  ...more,
});

test('what has not been heard of is unknown: nothing is cut before enough members have spoken', () => {
  for (const acknowledge of ['majority', 'all'] as const) {
    const { planner: it } = planner(acknowledge);
    const need = needed(3, acknowledge);
    for (let node = 1; node < need; node++) it.report(node, report(9));
    expect(it.plan()).toEqual([]);
    it.report(need, report(4));
    expect(it.plan()).toMatchObject([{ logStreamId: 1, epoch: 1, end: 4 }]);
  }
});

test('cuts up to what enough members have, and each end once', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('majority' as const, 'all' as const),
      fc.array(
        fc.record({ node: fc.integer({ min: 1, max: 3 }), grows: fc.nat(5), plan: fc.boolean() }),
        {
          maxLength: 40,
        },
      ),
      (acknowledge, steps) => {
        const { planner: it } = planner(acknowledge);
        const ends = new Map<number, number>();
        let proposed = 0;
        for (const { node, grows, plan } of steps) {
          const end = (ends.get(node) ?? 0) + grows;
          ends.set(node, end);
          it.report(node, report(end));
          if (!plan) continue;
          const sorted = [...ends.values()].sort((a, b) => b - a);
          const due = sorted[needed(3, acknowledge) - 1] ?? 0;
          const cut = it.plan();
          expect(cut.map((entry) => entry.end)).toEqual(due > proposed ? [due] : []);
          proposed = Math.max(proposed, due);
        }
      },
    ),
  );
});

test.each<[string, Partial<Report>]>([
  ['of another epoch', { epoch: 2 }],
  ['of one that is sealing', { state: 'sealing' }],
  ['of a learner', { state: 'learning' }],
  ['of a failed disk', { state: 'failed' }],
])('a report %s does not count', (_, more) => {
  const { planner: it } = planner();
  it.report(1, report(5));
  it.report(2, report(5, more));
  expect(it.plan()).toEqual([]);
  it.report(4, report(5));
  expect(it.plan()).toEqual([]);
  it.report(3, report(5, { state: 'restarted' }));
  expect(it.plan()).toMatchObject([{ end: 5 }]);
});

test('a replica that has less than it said before has lost data, and counts no more', () => {
  const { planner: it } = planner();
  it.report(1, report(5));
  expect(it.report(2, report(5))).toBe(true);
  expect(it.report(2, report(3))).toBe(false);
  expect(it.reportOf(1, 2)!.state).toBe('failed');
  expect(it.plan()).toEqual([]);
});

test('what was proposed and got lost is proposed again, from the reports', () => {
  const { planner: it } = planner();
  it.report(1, report(5));
  it.report(2, report(5));
  expect(it.plan()).toHaveLength(1);
  expect([it.plan(), it.pending]).toEqual([[], false]);
  it.forgetProposals();
  expect(it.plan()).toMatchObject([{ end: 5 }]);
});

test('a sealed log stream is not cut; its next epoch begins at its end', () => {
  const { metadata, planner: it } = planner();
  it.report(1, report(5));
  it.report(2, report(5));
  metadata.apply({ kind: 'seal', id: 1, byOperator: false });
  expect(it.plan()).toEqual([]);
  metadata.apply({
    kind: 'unseal',
    id: 1,
    epoch: 2,
    members: [1, 2],
    disks: ['', ''],
    primaryProcess: '',
  });
  it.revisit(1);
  expect(it.plan()).toEqual([]);
  it.report(1, report(3, { epoch: 2 }));
  it.report(2, report(2, { epoch: 2 }));
  expect(it.plan()).toMatchObject([{ epoch: 2, end: 2 }]);
});

test('history may go as far as every member has it on disk, the silent ones included', () => {
  const { planner: it } = planner();
  it.report(1, report(5, { persistedVersion: 7 }));
  it.report(2, report(5, { persistedVersion: 9 }));
  expect(it.plan()).toMatchObject([{ persistedVersion: 0 }]);
  it.report(3, report(6, { persistedVersion: 8 }));
  it.report(2, report(6, { persistedVersion: 9 }));
  expect(it.plan()).toMatchObject([{ end: 6, persistedVersion: 7 }]);
});
