import fc from 'fast-check';
import { CutPlanner, cutsOf, Metadata, needed, partsToEnter, type Report } from './index.ts';

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

test('a majority is more than half of the members, and all are all', () => {
  const sizes = [1, 2, 3, 4, 5];
  expect(sizes.map((it) => needed(it, 'majority'))).toEqual([1, 2, 2, 3, 3]);
  expect(sizes.map((it) => needed(it, 'all'))).toEqual(sizes);
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

test('a replica that has less than it said before has lost data, and does not count until it has as much again', () => {
  const { planner: it } = planner();
  it.report(1, report(5));
  expect(it.report(2, report(5))).toBe(true);
  expect(it.report(2, report(3))).toBe(false);
  expect([it.reportOf(1, 2)!.state, it.plan()]).toEqual(['failed', []]);
  // Said once, and true for longer.
  expect(it.report(2, report(4))).toBe(true);
  expect([it.reportOf(1, 2)!.state, it.plan()]).toEqual(['failed', []]);
  it.report(2, report(5));
  expect(it.plan()).toMatchObject([{ end: 5 }]);
});

test('what a replica had in another epoch it need not have in this one', () => {
  const { metadata, planner: it } = planner();
  it.report(2, report(5));
  metadata.apply({ kind: 'seal', id: 1, byOperator: false });
  const members = [1, 2, 3];
  const disks = ['', '', ''];
  metadata.apply({ kind: 'unseal', id: 1, epoch: 2, members, disks, primaryProcess: '' });
  it.report(1, report(3, { epoch: 2 }));
  expect(it.report(2, report(3, { epoch: 2 }))).toBe(true);
  expect(it.plan()).toMatchObject([{ epoch: 2, end: 3 }]);
});

test('what a storage node said counts no more once its disk was given up', () => {
  const { planner: it } = planner();
  it.report(1, report(5));
  it.report(2, report(5));
  it.forget(1);
  expect(it.plan()).toEqual([]);
  it.report(1, report(3));
  expect(it.plan()).toMatchObject([{ end: 3 }]);
});

test('nothing is known of a replica that was taken away, or is not one, should it become one', () => {
  const { metadata, planner: it } = planner();
  it.report(3, report(5));
  it.report(4, report(5));
  metadata.apply({ kind: 'seal', id: 1, byOperator: false });
  const { revision } = metadata.logStreams.get(1)!;
  const change = {
    kind: 'setReplicas',
    id: 1,
    replicas: [1, 2, 4],
    revision,
    holders: [],
  } as const;
  expect(metadata.apply(change).result).toMatchObject({ ok: true });
  it.revisit(1);
  expect([it.reportOf(1, 3), it.reportOf(1, 4)]).toEqual([undefined, undefined]);
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

describe('parts of atomic appends', () => {
  /** Log streams 1, 2 and 3, each on node 1 alone. */
  function alone() {
    const metadata = new Metadata();
    metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a' });
    metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
    for (const id of [1, 2, 3]) {
      metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
      open(metadata, id, 1);
    }
    return { metadata, planner: new CutPlanner(metadata) };
  }

  function open(metadata: Metadata, id: number, epoch: number): void {
    const opening = { id, epoch, members: [1], disks: [''], primaryProcess: '' };
    metadata.apply({ kind: 'unseal', ...opening });
  }

  const part = (id: number, logStreams: number[], llsn: number, end = llsn) => {
    return { id, logStreams, llsn, end };
  };

  const ends = (cuts: ReturnType<typeof cutsOf>) =>
    cuts.map(({ kind, entries }) => [kind, entries.map((it) => [it.logStreamId, it.end])]);

  test('are cut in one go, with what lies behind them; what lies before them does not wait', () => {
    const { metadata, planner: it } = alone();
    it.report(1, report(5, { waiting: [part(7, [1, 2], 3, 4)] }));
    expect(ends(cutsOf(it))).toEqual([['cut', [[1, 2]]]]);
    expect(it.stuckPart(1)).toMatchObject({ llsn: 3 });
    it.report(1, report(1, { logStreamId: 2, waiting: [part(7, [1, 2], 1)] }));
    it.report(1, report(4, { logStreamId: 3 }));
    const cuts = cutsOf(it);
    expect(ends(cuts)).toEqual([
      [
        'cutTogether',
        [
          [2, 1],
          [1, 5],
        ],
      ],
      ['cut', [[3, 4]]],
    ]);
    expect([it.stuckPart(1), it.isAnyStuck]).toEqual([undefined, false]);
    expect(cutsOf(it)).toEqual([]);
    for (const command of cuts) metadata.apply(command);
    expect(metadata.topics.get(1)!.highWatermark).toBe(10);
    it.report(1, report(6));
    expect(ends(cutsOf(it))).toEqual([['cut', [[1, 6]]]]);
  });

  test('are none any more once they are ordered, also where a replica has yet to hear of that', () => {
    const { metadata, planner: it } = alone();
    const waiting = [part(7, [1, 2], 1)];
    it.report(1, report(1, { waiting }));
    it.report(1, report(1, { logStreamId: 2, waiting }));
    for (const command of cutsOf(it)) metadata.apply(command);
    it.report(1, report(3, { waiting }));
    expect(ends(cutsOf(it))).toEqual([['cut', [[1, 3]]]]);
  });

  test('a cut behind one that is on its way stands for itself', () => {
    const { planner: it } = alone();
    it.report(1, report(1, { waiting: [part(7, [1, 2], 1)] }));
    it.report(1, report(1, { logStreamId: 2, waiting: [part(7, [1, 2], 1)] }));
    expect(cutsOf(it)).toHaveLength(1);
    // Of log stream 2 nothing has moved: but without it the cut would tear what is not ordered yet.
    it.report(1, report(3, { waiting: [part(7, [1, 2], 1)] }));
    expect(ends(cutsOf(it))).toEqual([
      [
        'cutTogether',
        [
          [1, 3],
          [2, 1],
        ],
      ],
    ]);
  });

  test('are not there any more once one of the log streams was sealed', () => {
    const { metadata, planner: it } = alone();
    const waiting = [part(7, [1, 2], 1)];
    it.report(1, report(1, { waiting }));
    it.report(1, report(1, { logStreamId: 2, waiting }));
    const [cut] = cutsOf(it);
    metadata.apply({ kind: 'seal', id: 2, byOperator: false });
    expect(metadata.apply(cut!)).toMatchObject({ result: { ok: false }, changes: { commits: [] } });
    it.forgetProposals();
    expect(cutsOf(it)).toEqual([]);
    expect(it.isAnyStuck).toBe(true);
    open(metadata, 2, 2);
    expect(metadata.apply(cut!)).toMatchObject({ result: { ok: false }, changes: { commits: [] } });
    expect([metadata.logStreams.get(1)!.end, metadata.topics.get(1)!.highWatermark]).toEqual([
      0, 0,
    ]);
  });

  test('enter the logs when all of them are at their primaries, and those are up', () => {
    const { metadata, planner: it } = alone();
    const parked = [{ id: 7, logStreams: [1, 2] }];
    let isUp = true;
    const entering = (given: Report): number[] => {
      it.report(1, given);
      const heard = { metadata, reportOf: it.reportOf.bind(it), isUp: () => isUp };
      return partsToEnter(given, heard).map(({ logStreamId }) => logStreamId);
    };
    expect(entering(report(0, { parked }))).toEqual([]);
    expect(entering(report(0, { logStreamId: 2, parked }))).toEqual([1, 2]);
    // One of another client, or of one that lies.
    const other = [{ id: 7, logStreams: [1, 2, 3] }];
    expect(entering(report(0, { parked: other }))).toEqual([]);
    isUp = false;
    expect(entering(report(0, { parked }))).toEqual([]);
    isUp = true;
    const waiting = [part(7, [1, 2], 1)];
    expect(entering(report(1, { logStreamId: 2, waiting }))).toEqual([1]);
    expect(entering(report(0, { logStreamId: 2 }))).toEqual([]);
    expect(entering(report(0, { parked }))).toEqual([]);
    metadata.apply({ kind: 'seal', id: 2, byOperator: false });
    expect(entering(report(0, { logStreamId: 2, parked }))).toEqual([]);
  });
});
