import fc from 'fast-check';
import { type Recovered, type ReplicaAssignment, ReplicaCore } from './index.ts';

const NEW: Recovered = { epoch: 0, sealed: false, end: 0, committedEnd: 0, version: 0 };
const assignment = (more: Partial<ReplicaAssignment> = {}): ReplicaAssignment => ({
  epoch: 1,
  sealed: false,
  end: 0,
  version: 0,
  members: [1, 2],
  primaryProcess: 'p',
  ...more,
});
const commit = (version: number, llsn: number, count: number, epoch = 1) => ({
  version,
  llsn,
  count,
  epoch,
});

/** Does what the core asks for on its own disk, until it asks for nothing more. */
function settle(core: ReplicaCore): string[] {
  const done: string[] = [];
  for (;;) {
    const step = core.next();
    if (step.kind === 'truncate') {
      done.push(`cut ${step.end}`);
      core.wasTruncated(step.end);
    } else if (step.kind === 'adopt') {
      done.push(`adopt ${step.epoch}${step.sealed ? ' sealed' : ''}`);
      core.hasAdopted(step.epoch, step.sealed);
    } else return [...done, step.kind];
  }
}

/** Node `node` in open epoch 1 with nothing in it. */
function open(node = 1): ReplicaCore {
  const core = new ReplicaCore({ node, process: 'p' }, NEW);
  core.assign(assignment({ epoch: 0, sealed: true }));
  settle(core);
  core.assign(assignment());
  settle(core);
  return core;
}

test('a process that the epoch does not name appends nothing in it', () => {
  const core = new ReplicaCore({ node: 1, process: 'twin' }, NEW);
  core.assign(assignment({ epoch: 0, sealed: true }));
  settle(core);
  core.assign(assignment());
  settle(core);
  expect([core.state, core.isPrimary]).toEqual(['restarted', false]);
  core.assign(assignment({ sealed: true }));
  settle(core);
  core.assign(assignment({ epoch: 2, primaryProcess: 'twin' }));
  settle(core);
  expect([core.state, core.isPrimary]).toEqual(['open', true]);
});

test('a new replica seals the empty log stream, and opens with the first epoch', () => {
  const core = new ReplicaCore({ node: 1, process: 'p' }, NEW);
  expect([core.assigned, core.state]).toEqual([false, 'failed']);
  core.assign(assignment({ epoch: 0, sealed: true }));
  expect(settle(core)).toEqual(['adopt 0 sealed', 'none']);
  expect(core.state).toBe('sealed');
  core.assign(assignment());
  expect(settle(core)).toEqual(['adopt 1', 'none']);
  expect([core.state, core.isPrimary]).toEqual(['open', true]);
  const backup = open(2);
  expect([backup.state, backup.isPrimary, backup.next().kind]).toEqual([
    'open',
    false,
    'followPrimary',
  ]);
});

describe('a replica that lacks what was ordered', () => {
  const sealed = (members: number[]) => assignment({ sealed: true, end: 5, version: 2, members });
  const from = (recovered: Partial<Recovered>, members: number[]): ReplicaCore => {
    const core = new ReplicaCore({ node: 1, process: 'p' }, { ...NEW, epoch: 1, ...recovered });
    core.assign(sealed(members));
    settle(core);
    return core;
  };

  test('is damaged when it was the only member, until it has it all', () => {
    const core = from({ end: 3, committedEnd: 3, version: 1 }, [1]);
    expect([core.state, core.next().kind]).toEqual(['damaged', 'fetchCommitted']);
    core.receive(4, 2);
    expect(core.state).toBe('sealing');
    core.wasWritten(5);
    expect(core.commit(commit(2, 4, 2))).toBe('applied');
    expect([settle(core), core.state]).toEqual([['adopt 1 sealed', 'none'], 'sealed']);
  });

  test('is damaged when the commits that it lacks are nowhere, until they come', () => {
    const core = from({ end: 5 }, [1]);
    expect(core.state).toBe('sealing');
    expect([core.commit(commit(2, 4, 2)), core.state]).toEqual(['gap', 'damaged']);
    expect([core.commit(commit(1, 1, 3)), core.state]).toEqual(['applied', 'sealing']);
  });

  test('gets it from others where there were other members, or it was none', () => {
    expect(from({ end: 3, committedEnd: 3, version: 1 }, [1, 2]).state).toBe('sealing');
    expect(from({ end: 3, committedEnd: 3, version: 1 }, [2]).state).toBe('sealing');
  });
});

test('a replica without the sealed end does not open, and learns what it has lost', () => {
  const core = new ReplicaCore({ node: 1, process: 'p' }, NEW);
  core.assign(assignment({ epoch: 2, end: 5 }));
  expect([settle(core), core.state]).toEqual([['fetchCommitted'], 'learning']);
  const alone = new ReplicaCore({ node: 1, process: 'p' }, NEW);
  alone.assign(assignment({ epoch: 2, end: 5, members: [1] }));
  settle(alone);
  expect(alone.state).toBe('damaged');
});

test('a replica that missed an epoch does not open: of what was ordered in it, it knows nothing', () => {
  const recovered = { epoch: 1, sealed: true, end: 5, committedEnd: 5, version: 2 };
  const core = new ReplicaCore({ node: 2, process: 'p' }, recovered);
  core.assign(assignment({ epoch: 3, end: 5, version: 2 }));
  expect([settle(core), core.state, core.epoch]).toEqual([['fetchCommitted'], 'learning', 1]);
});

test('a replica that had lost data opens with the next epoch, once it was whole when that began', () => {
  const core = new ReplicaCore({ node: 2, process: 'p' }, NEW);
  core.assign(assignment({ epoch: 2, end: 5, version: 1 }));
  expect([settle(core), core.state]).toEqual([['fetchCommitted'], 'learning']);
  core.assign(assignment({ epoch: 2, end: 5, version: 1, sealed: true }));
  core.receive(1, 5);
  expect(core.commit(commit(1, 1, 5))).toBe('applied');
  // In memory alone it is not whole.
  expect([settle(core), core.state]).toEqual([['fetchCommitted'], 'sealing']);
  core.wasWritten(5);
  expect(settle(core)).toEqual(['adopt 2 sealed', 'none']);
  core.assign(assignment({ epoch: 3, end: 5, version: 1 }));
  expect([settle(core), core.state]).toEqual([['adopt 3', 'followPrimary'], 'open']);
});

test('a primary that restarted appends nothing more in its epoch, and a backup goes on', () => {
  const recovered = { epoch: 1, sealed: false, end: 3, committedEnd: 2, version: 1 };
  const primary = new ReplicaCore({ node: 1, process: 'p' }, recovered);
  primary.assign(assignment());
  expect([primary.state, primary.isPrimary, primary.serves(1)]).toEqual([
    'restarted',
    false,
    false,
  ]);
  expect(() => primary.append(1)).toThrow(/INVARIANT/);
  const backup = new ReplicaCore({ node: 2, process: 'p' }, recovered);
  backup.assign(assignment());
  expect(backup.state).toBe('open');
});

test('sealing keeps what was ordered behind the sealed end: the others went on before it heard of that', () => {
  const recovered = { epoch: 1, sealed: false, end: 3, committedEnd: 3, version: 1 };
  const core = new ReplicaCore({ node: 3, process: 'p' }, recovered);
  core.assign(assignment({ epoch: 2, sealed: true, end: 5, version: 2, members: [1] }));
  expect(settle(core)).toEqual(['fetchCommitted']);
  // From a replica that has opened the next epoch.
  expect(core.receive(4, 4)).toBe(true);
  expect(core.commit(commit(2, 4, 2, 2))).toBe('applied');
  expect(core.commit(commit(3, 6, 2, 3))).toBe('applied');
  core.wasWritten(7);
  expect([settle(core), core.end, core.state]).toEqual([['fetchCommitted'], 7, 'sealing']);
  core.assign(assignment({ epoch: 3, end: 5, version: 2, members: [1] }));
  expect([settle(core), core.end, core.state]).toEqual([['fetchCommitted'], 7, 'learning']);
});

test('sealing cuts off what was not ordered, and waits for what was', () => {
  const core = open();
  core.append(5);
  core.wasWritten(5);
  expect(core.commit(commit(1, 1, 2))).toBe('applied');
  core.assign(assignment({ sealed: true, end: 3, version: 2 }));
  expect(settle(core)).toEqual(['cut 3', 'fetchCommitted']);
  expect(core.commit(commit(2, 3, 1))).toBe('applied');
  expect(settle(core)).toEqual(['adopt 1 sealed', 'none']);
  expect([core.state, core.end]).toEqual(['sealed', 3]);
});

test('what an older epoch left uncommitted is cut off before anything is fetched', () => {
  const core = new ReplicaCore(
    { node: 3, process: 'p' },
    { epoch: 1, sealed: false, end: 9, committedEnd: 4, version: 2 },
  );
  core.assign(assignment({ epoch: 3 }));
  expect([settle(core), core.state]).toEqual([['cut 4', 'fetchCommitted'], 'learning']);
  // From now on what is fetched may come before its commit.
  expect(core.receive(5, 2)).toBe(true);
  expect(core.commit(commit(3, 5, 2, 2))).toBe('applied');
});

test('a commit of another epoch than the records that are here is not taken for theirs', () => {
  const core = open(2);
  core.receive(1, 3);
  expect(core.commit(commit(1, 1, 3, 2))).toBe('waiting');
  expect(core.committedEnd).toBe(0);
  expect(core.servableEnd).toBe(0);
});

test('commits are taken in order, once, when their records are here', () => {
  const core = open();
  expect(core.commit(commit(2, 3, 1))).toBe('gap');
  expect(core.commit(commit(1, 1, 2))).toBe('waiting');
  core.append(3);
  expect(core.commit(commit(1, 1, 2))).toBe('applied');
  expect(core.commit(commit(1, 1, 2))).toBe('old');
  expect(core.commit(commit(2, 3, 1))).toBe('applied');
  expect([core.committedEnd, core.version]).toEqual([3, 2]);
});

test('it reports what is on its disk, not what it has in memory', () => {
  const core = open();
  core.append(4);
  core.wasWritten(2);
  expect(core.report(1, 7)).toEqual({
    logStreamId: 1,
    epoch: 1,
    end: 2,
    persistedVersion: 7,
    state: 'open',
  });
  core.fail('failed');
  expect([core.state, core.next().kind]).toEqual(['failed', 'none']);
});

test('a backup is served in its own epoch only', () => {
  const core = open();
  expect([core.serves(0), core.serves(1), core.serves(2)]).toEqual([false, true, false]);
  core.assign(assignment({ sealed: true }));
  expect(core.serves(1)).toBe(false);
});

test('records that do not continue the log are not taken', () => {
  const core = open(2);
  expect([core.receive(2, 1), core.receive(1, 2), core.receive(2, 1), core.receive(3, 1)]).toEqual([
    false,
    true,
    false,
    true,
  ]);
});

test('of assignments the newest counts, in whatever order they come', () => {
  const all = [1, 2, 3].flatMap((epoch) => [
    assignment({ epoch }),
    assignment({ epoch, sealed: true }),
  ]);
  fc.assert(
    fc.property(fc.shuffledSubarray(all, { minLength: 1 }), (list) => {
      const core = new ReplicaCore({ node: 3, process: 'p' }, { ...NEW, epoch: 1 });
      for (const it of list) core.assign(it);
      const rank = ({ epoch, sealed }: ReplicaAssignment): number => 2 * epoch + Number(sealed);
      const newest = list.reduce((a, b) => (rank(a) > rank(b) ? a : b));
      expect(core.state).toBe(newest.sealed ? 'sealing' : 'learning');
      settle(core);
      expect(core.epoch).toBe(newest.sealed ? newest.epoch : 1);
    }),
  );
});

test('ends keep their order, whatever happens: committed ≤ end, durable ≤ end', () => {
  const step = fc.oneof(
    fc.nat(3).map((n) => (core: ReplicaCore) => void (core.isPrimary && n > 0 && core.append(n))),
    fc.nat(9).map((n) => (core: ReplicaCore) => core.wasWritten(n)),
    fc
      .tuple(fc.nat(5), fc.nat(9), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 }))
      .map(
        ([version, llsn, count, epoch]) =>
          (core: ReplicaCore) =>
            void core.commit(commit(version, llsn, count, epoch)),
      ),
    fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.nat(9)).map(
      ([epoch, sealed, above]) =>
        (core: ReplicaCore) =>
          // A log stream never ends before what was committed.
          core.assign(assignment({ epoch, sealed, end: core.committedEnd + above })),
    ),
    fc.constant((core: ReplicaCore) => void settle(core)),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const core = open();
      let committed = 0;
      for (const act of steps) {
        act(core);
        expect(core.committedEnd).toBeGreaterThanOrEqual(committed);
        expect(core.committedEnd).toBeLessThanOrEqual(core.end);
        expect(core.durableEnd).toBeLessThanOrEqual(core.end);
        committed = core.committedEnd;
      }
    }),
  );
});
