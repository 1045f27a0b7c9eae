import fc from 'fast-check';
import { assertRaftTimes, RAFT_TIMES, timingOf } from './timing.ts';

describe('the times of a member', () => {
  test('go together when only the election timeout is given', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60_000 }), (electionTimeoutMs) => {
        const { tickMs, electionTicks, heartbeatTicks } = timingOf({ electionTimeoutMs });
        expect(electionTicks).toBeGreaterThanOrEqual(2 * heartbeatTicks);
        expect(Math.abs(electionTicks * tickMs - electionTimeoutMs)).toBeLessThanOrEqual(tickMs);
        expect(heartbeatTicks * tickMs).toBeLessThanOrEqual(500);
      }),
    );
  });

  test('are those that were asked for, heartbeats rather too often than too seldom', () => {
    const timing = timingOf({ electionTimeoutMs: 3_000, heartbeatMs: 120 });
    expect(timing).toEqual({
      tickMs: 25,
      electionTicks: 120,
      heartbeatTicks: 4,
      leaseMs: undefined,
    });
    expect(timingOf({ leaseReads: true })).toEqual({
      tickMs: 25,
      electionTicks: 40,
      heartbeatTicks: 20,
      leaseMs: (39 * 25 - 1) * 0.8,
    });
  });

  test('leave a lease that ends before a follower, a tick and a tenth early, looks for another leader', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 10, max: 10_000, noNaN: true }),
        fc.double({ min: 0.05, max: 0.5, noNaN: true }),
        (electionTimeoutMs, share) => {
          const heartbeatMs = electionTimeoutMs * share;
          const times = { electionTimeoutMs, heartbeatMs, leaseReads: true };
          const { tickMs, electionTicks, leaseMs } = timingOf(times);
          // Each counts by its own clock: the leader's is slow, the follower's fast.
          const followerMs = ((electionTicks - 1) * tickMs - 1) / 1.05;
          expect(leaseMs! / 0.95).toBeLessThan(followerMs);
        },
      ),
    );
    const tooShort = { electionTimeoutMs: 3, leaseReads: true };
    expect(() => timingOf(tooShort)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });

  test.each([
    [{ electionTimeoutMs: 1_000, heartbeatMs: 600 }],
    [{ electionTimeoutMs: 0 }],
    [{ electionTimeoutMs: -1 }],
    [{ electionTimeoutMs: Number.NaN }],
    [{ heartbeatMs: Number.POSITIVE_INFINITY }],
    [{ heartbeatMs: 0 }],
    [{ heartbeatMs: -50 }],
    [{ heartbeatMs: Number.NaN }],
  ])('%j are refused', (times) => {
    expect(() => timingOf(times)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });
});

describe('the constants', () => {
  const wrong: readonly [string, Partial<typeof RAFT_TIMES>][] = [
    ['two heartbeats in an election timeout', { heartbeatMs: 501 }],
    ['ticks that are fine enough', { tickMs: 51 }],
    ['does not skip a tick', { earlyMs: 25 }],
    ['clocks that differ', { leaseShare: 0.92 }],
    ['clocks that differ', { clockRateMax: 1.3 }],
    ['from heartbeat to heartbeat', { leaseShare: 0.5 }],
    ['long enough to be used', { leaseMsMin: 1_000 }],
    ['before the next heartbeat', { reopenMs: 300 }],
    ['given up soon', { graceTicks: 40 }],
    ['an election that fails once', { callTimeoutMs: 3_000 }],
  ];
  test.each(wrong)('go together: %s', (relation, change) => {
    expect(() => assertRaftTimes(RAFT_TIMES)).not.toThrow();
    expect(() => assertRaftTimes({ ...RAFT_TIMES, ...change })).toThrow(relation);
  });
});
