import type { Clock } from '../../base/index.ts';
import { type LogStreamState, Metadata, type Report } from '../core/index.ts';
import { type RepairContext, repairOf } from './repair.ts';
import { RepairHistory, type Replicas } from './repair-history.ts';

const STEP_MS = 100;
/** Records that are ordered in each step while the log stream is open. */
const RATE = 1_000;

/** What a node says of its replica, `sinceMs` after the log stream was last sealed or opened, at `now`. */
type Voice = (
  stream: LogStreamState,
  sinceMs: number,
  now: number,
) => Partial<Report & { process: string; lost: boolean }>;

/**
 * Looks after one log stream for a while; says how often it was sealed, and for how many milliseconds at
 * the most a node in `watched` was alive and no member.
 */
function play(
  seconds: number,
  given: { nodes?: number[]; members: number[]; watched?: number[] },
  voices: Record<number, Voice>,
): { seals: number; longest: number } {
  let now = 0;
  const clock = { now: () => now } as Clock;
  const metadata = new Metadata();
  const { nodes = [1, 2, 3], watched = [] } = given;
  for (const id of nodes) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: nodes });
  const open = (chosen: number[]): void => {
    const stream = metadata.logStreams.get(1)!;
    const opening = { id: 1, epoch: stream.epoch + 1, members: chosen, primaryProcess: 'p' };
    metadata.apply({ kind: 'unseal', ...opening, disks: chosen.map(() => '') });
  };
  open(given.members);
  const repairHistory = new RepairHistory(clock);
  const missing = new Map(watched.map((it) => [it, 0]));
  let count = 0;
  let longest = 0;
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
    const voiceOf = (node: number) => voices[node]?.(stream, now - changedAt, now) ?? {};
    const context: RepairContext & Replicas = {
      metadata,
      unheardForMs: (node) => (voiceOf(node).lost === true ? 60_000 : 0),
      processOf: (node) => (voiceOf(node).lost === true ? '' : (voiceOf(node).process ?? 'p')),
      report: (logStreamId, node) => ({
        logStreamId,
        epoch,
        end: stream.end,
        persistedVersion: 0,
        state: stream.sealed ? 'sealed' : stream.members.includes(node) ? 'open' : 'learning',
        ...voiceOf(node),
      }),
      stuckPart: () => undefined,
      stuckFor: (it) => repairHistory.stuckFor(it),
      settledFor: (it) => repairHistory.settledFor(it),
      mayJoin: (it, node) => repairHistory.mayJoin(it, node),
      lag: (it, report) => repairHistory.lag(it, report),
      inOrder: (it, given) => repairHistory.inOrder(it, given),
    };
    repairHistory.observe(metadata.logStreams, context);
    for (const [node, since] of missing) {
      const isThere = !stream.sealed && stream.members.includes(node);
      if (isThere || voiceOf(node).lost === true) missing.set(node, now);
      else longest = Math.max(longest, now - since);
    }
    const action = repairOf(stream, context);
    if (action === undefined) continue;
    changedAt = now;
    if (action.kind === 'unseal') {
      open(action.members);
      continue;
    }
    count++;
    metadata.apply({ kind: 'seal', id: 1, byOperator: false });
    repairHistory.sealed(stream, epoch, action, context);
  }
  return { seals: count, longest };
}

function seals(seconds: number, members: number[], voices: Record<number, Voice>): number {
  return play(seconds, { members }, voices).seals;
}

/** Never makes it while the log stream is sealed. */
const vain: Voice = (stream) => (stream.sealed ? { state: 'sealing' } : {});

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

test('seals for other reasons do not delay a learner that is level', () => {
  // Every ten seconds the next node is gone for two: mostly the primary, which comes back as a learner.
  const inTurn =
    (node: number): Voice =>
    (_, __, now) => ({
      lost: Math.floor(now / 10_000) % 3 === node - 1 && now % 10_000 < 2_000,
    });
  const voices = { 1: inTurn(1), 2: inTurn(2), 3: inTurn(3) };
  const { longest } = play(600, { members: [1, 2, 3], watched: [1, 2, 3] }, voices);
  expect(longest).toBeLessThanOrEqual(8_000);
});

test('a learner does not wait for another one that never makes it', () => {
  const returning: Voice = (_, __, now) => ({ lost: now > 100_000 && now < 110_000 });
  const given = { nodes: [1, 2, 3, 4], members: [1, 2, 3], watched: [1] };
  expect(play(200, given, { 1: returning, 4: vain }).longest).toBeLessThanOrEqual(3_000);
});

test('a copy that falls out again and again is sealed for now and then', () => {
  const flapping: Voice = (stream, since, now) => {
    const process = `p${Math.floor(now / 5_000)}`;
    if (stream.sealed) return { process };
    return stream.members.includes(3) && since < 1_000
      ? { process }
      : { process, state: 'learning' };
  };
  const { seals: count, longest } = play(600, { members: [1, 2], watched: [3] }, { 3: flapping });
  expect(count).toBeLessThanOrEqual(600 / 8 + 3);
  expect(count).toBeGreaterThan(600 / 20);
  expect(longest).toBeLessThanOrEqual(17_000);
});

test('another copy of one that never made it is a new learner', () => {
  const replaced: Voice = (stream, since, now) =>
    now < 400_000 ? vain(stream, since, now) : { process: 'another' };
  const given = { members: [1, 2], watched: [3] };
  expect(play(600, given, { 3: replaced }).longest).toBeLessThanOrEqual(408_000);
  const rebuilt: Voice = (stream, since, now) => {
    if (now < 400_000) return vain(stream, since, now);
    return now < 401_000 ? { end: 0 } : {};
  };
  expect(play(600, given, { 3: rebuilt }).longest).toBeLessThanOrEqual(409_000);
});
