import type { Clock } from './clock.ts';

/**
 * Has work done once a turn, after all that is ready in it, however often it is asked for: so what comes in one
 * turn shares one message, one write, one decision, and nothing waits for time to pass.
 */
export class OncePerTurn {
  private readonly clock: Pick<Clock, 'defer'>;
  private readonly work: () => void;
  private scheduled = false;

  constructor(clock: Pick<Clock, 'defer'>, work: () => void) {
    this.clock = clock;
    this.work = () => {
      // First: what the work itself asks for belongs to the next turn.
      this.scheduled = false;
      work();
    };
  }

  /** Has the work done at the end of this turn. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.clock.defer(this.work);
  }
}
