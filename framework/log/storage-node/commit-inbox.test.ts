import fc from 'fast-check';
import { type Commit, ReplicaCore } from '../core/index.ts';
import { CommitInbox } from './commit-inbox.ts';

/** Commit `version` is of record `version` alone, and is its GLSN. */
const commit = (version: number): Commit => ({
  logStreamId: 1,
  epoch: 1,
  version,
  llsn: version,
  glsn: version,
  count: 1,
});
const range = (from: number, to: number): Commit[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => commit(from + i));

/** A backup of open epoch 1 that has nothing, and what its inbox wants done. */
function inbox(hasPeer = true) {
  const core = new ReplicaCore(
    { node: 2, process: 'p' },
    { epoch: 1, sealed: false, end: 0, committedEnd: 0, version: 0 },
  );
  core.assign({
    epoch: 1,
    sealed: false,
    end: 0,
    version: 0,
    members: [1, 2],
    primaryProcess: 'q',
  });
  const applied: number[] = [];
  const asked: number[] = [];
  let forgotten = 0;
  const it = new CommitInbox(core, {
    applied: ({ version }) => applied.push(version),
    requestHistory: (version) => asked.push(version),
    fetchFromReplica: () => {
      forgotten++;
      return hasPeer;
    },
  });
  return { core, it, applied, asked, forgotten: () => forgotten };
}

test('commits wait for their records', () => {
  const { core, it, applied, asked } = inbox();
  it.take(range(1, 3));
  expect([applied, it.isComplete, asked]).toEqual([[], false, []]);
  core.receive(1, 2);
  it.retry();
  expect(applied).toEqual([1, 2]);
  core.receive(3, 1);
  it.retry();
  expect([applied, it.isComplete]).toEqual([[1, 2, 3], true]);
});

test('missing ones are asked for once, until something arrives', () => {
  const { core, it, applied, asked } = inbox();
  core.receive(1, 9);
  it.expect(2);
  it.take([commit(5)]);
  it.take([commit(6)]);
  expect(asked).toEqual([1]);
  it.take(range(1, 3));
  expect([applied, asked]).toEqual([
    [1, 2, 3],
    [1, 4],
  ]);
  it.take(range(4, 6));
  expect([applied.at(-1), it.isComplete]).toEqual([6, true]);
});

test('what is asked for again and again and never comes has been forgotten there', () => {
  const { core, it, forgotten } = inbox();
  core.receive(1, 99);
  for (let version = 10; forgotten() === 0 && version < 99; version++) it.take([commit(version)]);
  expect(forgotten()).toBe(1);
});

test('all commits are applied in order, once, if what is asked for comes at last', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(4), fc.nat(3)), { maxLength: 30 }),
      (arrivals) => {
        const { core, it, applied, asked } = inbox();
        for (const [version, more, records] of arrivals) {
          it.take(range(version, Math.min(30, version + more)));
          core.receive(core.end + 1, records);
          it.retry();
        }
        core.receive(core.end + 1, 40);
        it.retry();
        it.expect(30);
        for (let i = 0; i < 40 && !it.isComplete; i++) it.take(range(asked.at(-1)!, 30));
        expect(applied).toEqual(range(1, 30).map((one) => one.version));
      },
    ),
  );
});

test('many are taken from another replica, where there is one', () => {
  const few = inbox();
  few.it.expect(1_024);
  expect([few.asked, few.forgotten()]).toEqual([[1], 0]);
  const many = inbox();
  many.it.expect(8_000);
  many.it.take(range(8_001, 8_002));
  expect([many.asked, many.forgotten()]).toEqual([[], 1]);
  const alone = inbox(false);
  alone.it.expect(8_000);
  expect(alone.asked).toEqual([1]);
});

test('what comes from another replica in pieces is not begun again with each of them', () => {
  const { core, it, asked, forgotten } = inbox();
  it.expect(8_000);
  for (let from = 1; from <= 8_000; from += 256) {
    const to = Math.min(8_000, from + 255);
    core.receive(from, to - from + 1);
    it.take(range(from, to));
    // News of what is ordered meanwhile do not fit yet.
    it.take([commit(8_000 + from)]);
  }
  expect(forgotten()).toBe(1);
  expect(asked.length).toBeLessThanOrEqual(4);
});

test('when another replica stops sending, it is asked again', () => {
  const { core, it, forgotten } = inbox();
  it.expect(8_000);
  core.receive(1, 100);
  it.take(range(1, 100));
  for (let version = 8_001; forgotten() < 2; version++) {
    expect(version).toBeLessThan(9_000);
    it.take([commit(version)]);
  }
});
