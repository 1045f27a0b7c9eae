import { type Clock, TurnBudget } from '../base/index.ts';

/** Pieces of a state and kibibytes of them, sessions, requests, timers: a fraction of a millisecond, or a few of them. */
const COST_PER_TURN = 256;

/** How much of what was stored is restored in a turn, so that other work goes on in between. */
export function restoreTurns(clock: Pick<Clock, 'defer'>): TurnBudget {
  return new TurnBudget(clock, COST_PER_TURN);
}
