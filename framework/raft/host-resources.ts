import type { DurationHistogram, Ports } from '../base/index.ts';
import { type Journal, syncTimes } from '../store/index.ts';
import type { Heartbeats } from './heartbeats.ts';
import { Ticker } from './ticker.ts';
import { timingOf } from './timing.ts';

/** What the groups of one process have together; a group that is alone has none but the ticker. */
export interface HostResources {
  readonly ticker: Ticker;
  readonly heartbeats?: Heartbeats;
  readonly journal?: Journal;
  /** How long the disk takes until something is durable. */
  readonly syncs: DurationHistogram;
  /** How much of the newest entries each group keeps in memory for members that lag a little. */
  readonly recentBytesMax: number;
}

const RECENT_BYTES_MAX = 8 * 1024 * 1024;

/** What a group that is alone in its process has for itself. */
export function ofItsOwn(options: {
  ports: Ports;
  electionTimeoutMs?: number;
  heartbeatMs?: number;
}): HostResources {
  const { tickMs } = timingOf(options);
  return {
    ticker: new Ticker(options.ports.clock, tickMs),
    syncs: syncTimes(),
    recentBytesMax: RECENT_BYTES_MAX,
  };
}
