import type { StateMachine } from './index.ts';

/** Adds up its commands; a command's result is the sum so far. */
export class Sum implements StateMachine<number, number, number> {
  value = 0;
  apply(add: number): number {
    this.value += add;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}
