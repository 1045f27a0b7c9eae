/** How a session's clock and the log's time stood at its last entry. */
export interface Anchor {
  /** Wall clock of the proposer. */
  readonly clock: number;
  /** The log's time. */
  readonly usedAt: number;
}

/**
 * The log's time after an entry. It never goes back, and follows the clocks of those who write: where one is ahead of
 * it or behind it, at between half and double the speed of that clock, so that a wrong clock can neither end all
 * leases nor keep them for ever. A new session, and a pause of its clock, may bring it forward by `leapMaxMs` at most.
 *
 * @param anchor of the entry's session; `undefined` where the entry opens one
 */
export function timeBehind(
  time: number,
  clock: number,
  anchor: Anchor | undefined,
  leapMaxMs: number,
): number {
  if (anchor === undefined) {
    // Nothing is known yet: the first clock counts.
    return time === 0 ? clock : Math.max(time, Math.min(clock, time + leapMaxMs));
  }
  const passed = Math.min(Math.max(clock - anchor.clock, 0), leapMaxMs);
  const slowest = anchor.usedAt + passed / 2;
  const fastest = anchor.usedAt + passed * 2;
  return Math.max(time, Math.min(Math.max(clock, slowest), fastest));
}

/** What the clock of a session shows when an entry of it brings the log's time to `at`: {@link timeBehind}, solved for it. */
export function clockAt(at: number, { clock, usedAt }: Anchor): number {
  const ahead = at - usedAt;
  return Math.max(clock + ahead / 2, Math.min(at, clock + ahead * 2));
}
