import type { Clock } from '../../base/index.ts';
import { type LogStreamState, Metadata, type Report } from '../core/index.ts';
import { repairOf } from './repair.ts';
import { Steadiness } from './steadiness.ts';

const STEP_MS = 100;
/** Records that are ordered in each step while the log stream is open. */
const RATE = 1_000;

/** What a node says of its replica, `sinceMs` after the log stream was last sealed or opened. */
type Voice = (stream: LogStreamState, sinceMs: number) => Partial<Report>;

/** Looks after one log stream on nodes 1, 2 and 3 for a while, and says how often it was sealed. */
function seals(seconds: number, members: number[], voices: Record<number, Voice>): number {
  let now = 0;
  const clock = { now: () => now } as Clock;
  const metadata = new Metadata();
  for (const id of [1, 2, 3]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2, 3] });
  const open = (chosen: number[]): void => {
    const stream = metadata.logStreams.get(1)!;
    const opening = { id: 1, epoch: stream.epoch + 1, members: chosen, primaryProcess: 'p' };
    metadata.apply({ kind: 'unseal', ...opening, disks: chosen.map(() => '') });
  };
  open(members);
  const steadiness = new Steadiness(clock);
  let count = 0;
  let changedAt = 0;
  for (; now < seconds * 1_000; now += STEP_MS) {
    const stream = metadata.logStreams.get(1)!;
    const { epoch } = stream;
    const entry = {
      logStreamId: 1,
      epoch,
      end: stream.end + RATE,
      persistedVersion: stream.version,
    };
    metadata.apply({ kind: 'cut', entries: [entry] });
    steadiness.observe(metadata.logStreams);
    const action = repairOf(stream, {
      metadata,
      silence: () => 0,
      report: (logStreamId, node) => ({
        logStreamId,
        epoch,
        end: stream.end,
        persistedVersion: 0,
        state: stream.sealed ? 'sealed' : stream.members.includes(node) ? 'open' : 'learning',
        ...voices[node]?.(stream, now - changedAt),
      }),
      settledFor: (it) => steadiness.settledFor(it),
      gap: (it) => steadiness.gap(it),
      lag: (it, report) => steadiness.lag(it, report),
      inOrder: (it, nodes) => steadiness.inOrder(it, nodes),
    });
    if (action === undefined) continue;
    changedAt = now;
    if (action.kind === 'unseal') {
      open(action.members);
      continue;
    }
    count++;
    steadiness.sealed(stream, action.primary);
    metadata.apply({ kind: 'seal', id: 1, hold: false });
  }
  return count;
}

test('a learner that keeps pace half a second behind is not sealed for', () => {
  const behind: Voice = (stream, since) => {
    if (!stream.sealed) return { end: Math.max(0, stream.end - 5 * RATE) };
    const missing = 5 * RATE - (since / STEP_MS) * RATE;
    return missing > 0 ? { end: stream.end - missing, state: 'sealing' } : {};
  };
  expect(seals(60, [1, 2], { 3: behind })).toBe(0);
});

test('one that has caught up is sealed for once', () => {
  const quick: Voice = (stream) => (stream.sealed ? {} : { end: Math.max(0, stream.end - RATE) });
  expect(seals(60, [1, 2], { 3: quick })).toBe(1);
});

test('one that never makes it is sealed for less and less often', () => {
  const vain: Voice = (stream) => (stream.sealed ? { state: 'sealing' } : {});
  expect(seals(60, [1, 2], { 3: vain })).toBeLessThanOrEqual(5);
  expect(seals(3_600, [1, 2], { 3: vain })).toBeLessThanOrEqual(20);
});

test('a primary that is restarted again and again is one no longer', () => {
  const flapping: Voice = (stream, since) =>
    !stream.sealed && stream.members[0] === 1 && since > 1_000 ? { state: 'restarted' } : {};
  expect(seals(60, [1, 2, 3], { 1: flapping })).toBe(2);
});

test('a primary that is restarted now and then stays the one that is preferred', () => {
  const sometimes: Voice = (stream, since) =>
    !stream.sealed && stream.members[0] === 1 && since > 100_000 ? { state: 'restarted' } : {};
  expect(seals(1_000, [1, 2, 3], { 1: sometimes })).toBeGreaterThan(5);
});
