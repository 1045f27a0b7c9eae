import { assert, checkNumber, VarlogError } from '../base/index.ts';
import type { RaftGroupOptions } from './group-options.ts';

/** The times of Raft that depend on each other, in milliseconds where the name says nothing else. */
export const RAFT_TIMES = {
  /** Members count time in ticks. An idle group rings no more often for finer ones. */
  tickMs: 25,
  /** A timer may ring that much too early. */
  earlyMs: 1,
  /** A member that hears no leader for one to two times this long campaigns. */
  electionTimeoutMs: 1_000,
  heartbeatMs: 500,
  /** A lease takes this share of the time that is certain; the rest allows for clocks that differ. */
  leaseShare: 0.8,
  /** The fastest clock of a group may run faster than the slowest by this factor. */
  clockRateMax: 1.1,
  /** A lease below that is over before a read is asked. */
  leaseMsMin: 1,
  /** A commit waits so long for entries that bring its news along, where entries follow each other faster than that. */
  commitNewsMs: 5,
  /** A link that broke is opened again after so long. */
  reopenMs: 50,
  /** A leader that hands over answers in this time what it had taken. */
  graceTicks: 4,
  /** How long a call waits that names no time. */
  callTimeoutMs: 10_000,
};

/** Throws `INVARIANT` for times that do not go together. */
export function assertRaftTimes(times: typeof RAFT_TIMES): void {
  const { tickMs, earlyMs, commitNewsMs, electionTimeoutMs, heartbeatMs } = times;
  const { leaseShare, clockRateMax } = times;
  // One heartbeat may be lost, or late, before a follower looks for another leader.
  assert(heartbeatMs * 2 <= electionTimeoutMs, 'two heartbeats in an election timeout');
  // Two members whose time is up in the same tick split the vote: the more ticks to draw from, the rarer.
  assert(tickMs * 20 <= electionTimeoutMs, 'elections are timed in ticks that are fine enough');
  assert(commitNewsMs < tickMs, 'a commit is told within a tick');
  assert(earlyMs < tickMs, 'a timer that rings early does not skip a tick');
  // Were it not so, a follower with a fast clock could elect another leader under the lease of a slow one.
  assert(leaseShare * clockRateMax < 1, 'a lease ends in time on clocks that differ');
  const leaseMs = leaseMsOf(electionTimeoutMs / tickMs, tickMs, earlyMs, times.leaseShare);
  // Each round of heartbeats renews the lease: reads ask a majority where it ends before the next one.
  assert(leaseMs >= heartbeatMs, 'a lease lasts from heartbeat to heartbeat');
  assert(leaseMs >= times.leaseMsMin, 'a lease is long enough to be used');
  // A connection that broke for a moment costs no more than one heartbeat.
  assert(times.reopenMs * 2 <= heartbeatMs, 'a link is open again before the next heartbeat');
  // Whoever calls a leader that hands over, and hangs then, is free again before the next election.
  assert(
    times.graceTicks * tickMs < electionTimeoutMs,
    'a leader that hands over is given up soon',
  );
  // An election takes up to two timeouts, and one that splits the vote as long again.
  assert(
    times.callTimeoutMs >= 4 * electionTimeoutMs,
    'a call outlives an election that fails once',
  );
}

assertRaftTimes(RAFT_TIMES);

/**
 * How long a lease may last. A follower that has just heard its leader counts a tick as soon as its timer rings, which
 * may be at once, and timers may ring `earlyMs` too early: it is certain to wait for all its ticks but one.
 */
export function leaseMsOf(
  electionTicks: number,
  tickMs: number,
  earlyMs: number,
  share = RAFT_TIMES.leaseShare,
): number {
  return ((electionTicks - 1) * tickMs - earlyMs) * share;
}

/** The times of a member in ticks. Throws `INVALID_ARGUMENT` for those that do not go together. */
export function timingOf(
  options: Pick<RaftGroupOptions, 'electionTimeoutMs' | 'heartbeatMs' | 'leaseReads'>,
): {
  tickMs: number;
  electionTicks: number;
  heartbeatTicks: number;
  leaseMs: number | undefined;
} {
  for (const key of ['electionTimeoutMs', 'heartbeatMs'] as const)
    checkNumber(options[key], key, 0);
  const electionTimeoutMs = options.electionTimeoutMs ?? RAFT_TIMES.electionTimeoutMs;
  const heartbeatMs =
    options.heartbeatMs ?? Math.min(RAFT_TIMES.heartbeatMs, electionTimeoutMs / 2);
  const tickMs = Math.min(RAFT_TIMES.tickMs, heartbeatMs);
  const heartbeatTicks = Math.max(1, Math.floor(heartbeatMs / tickMs));
  const electionTicks = Math.round(electionTimeoutMs / tickMs);
  if (!(heartbeatMs > 0 && electionTicks >= 2 * heartbeatTicks)) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `an election timeout of ${electionTimeoutMs} ms does not go with heartbeats every ${heartbeatMs} ms`,
      next: 'give both a positive time, the election timeout at least twice as long a one',
    });
  }
  const leaseMs = options.leaseReads
    ? leaseMsOf(electionTicks, tickMs, RAFT_TIMES.earlyMs)
    : undefined;
  if (leaseMs !== undefined && leaseMs < RAFT_TIMES.leaseMsMin) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `an election timeout of ${electionTimeoutMs} ms is too short for reads under a lease`,
      because: 'timers are a millisecond early at times, and clocks differ',
      next: 'give it more time, or leave `leaseReads` off',
    });
  }
  return { tickMs, electionTicks, heartbeatTicks, leaseMs };
}
