import type { Clock } from './clock.ts';
import { OncePerTurn } from './once-per-turn.ts';

/**
 * How much of one kind of work is done in a turn: what many ask for at once is spread over several turns, so that other
 * work is not held up by it. Who asks for little while nobody asks for much waits for nothing.
 */
export class TurnBudget {
  private readonly perTurn: number;
  private readonly nextTurn: OncePerTurn;
  private spent = 0;
  private waiting: { cost: number; resolve: () => void }[] = [];

  /** `perTurn` is in the unit of the costs. The work that exceeds it is still done in the turn. */
  constructor(clock: Pick<Clock, 'defer'>, perTurn: number) {
    this.perTurn = perTurn;
    this.nextTurn = new OncePerTurn(clock, () => this.refill());
  }

  /**
   * Takes `cost` from the budget of this turn, or of a later one, in the order of the calls. A promise that is to be
   * waited for when it is a later one.
   */
  take(cost: number): void | Promise<void> {
    this.nextTurn.schedule();
    if (this.spent < this.perTurn) {
      this.spent += cost;
      return undefined;
    }
    return new Promise((resolve) => {
      this.waiting.push({ cost, resolve });
    });
  }

  private refill(): void {
    this.spent = 0;
    let granted = 0;
    while (granted < this.waiting.length && this.spent < this.perTurn) {
      const { cost, resolve } = this.waiting[granted++]!;
      this.spent += cost;
      resolve();
    }
    this.waiting = this.waiting.slice(granted);
    if (this.spent > 0) this.nextTurn.schedule();
  }
}
