import type { Clock } from '../../base/index.ts';
import type { LogStreamState } from '../core/index.ts';

/** A log stream that is not open again after so long is in nobody's way. */
const JOIN_MS = 1_000;

/**
 * The log streams that are sealed, while they are well, so that another replica takes part in them: a few at once. When the
 * process of a node comes back, all its log streams want that, and each of them takes no appends meanwhile.
 */
export class Joins {
  private readonly clock: Clock;
  private readonly atOnce: number;
  private readonly underWay = new Map<number, { readonly epoch: number; readonly at: number }>();

  constructor(clock: Clock, atOnce: number) {
    this.clock = clock;
    this.atOnce = atOnce;
  }

  get hasRoom(): boolean {
    return this.underWay.size < this.atOnce;
  }

  begin({ id, epoch }: LogStreamState): void {
    this.underWay.set(id, { epoch, at: this.clock.now() });
  }

  /** To be called at each look. */
  observe(logStreams: ReadonlyMap<number, LogStreamState>): void {
    for (const [id, { epoch, at }] of this.underWay) {
      const stream = logStreams.get(id);
      const isOpen = stream === undefined || (!stream.sealed && stream.epoch > epoch);
      if (isOpen || this.clock.now() - at >= JOIN_MS) this.underWay.delete(id);
    }
  }

  clear(): void {
    this.underWay.clear();
  }
}
