import fc from 'fast-check';
import { timingOf } from './group-options.ts';

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
      tickMs: 50,
      electionTicks: 60,
      heartbeatTicks: 2,
      leaseMs: undefined,
    });
    expect(timingOf({ leaseReads: true })).toEqual({
      tickMs: 50,
      electionTicks: 20,
      heartbeatTicks: 10,
      leaseMs: 800,
    });
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
