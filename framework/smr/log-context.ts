import type { ApplyContext } from './state-machine.ts';

const UINT32 = 2 ** 32;

/** The context of one command after the other. */
export class LogContext implements ApplyContext {
  position = 0;
  time = 0;
  rules = 0;
  private state = 0;

  /** Before each attempt to apply a command: all attempts draw the same random numbers. */
  begin(position: number, time: number, rules: number): void {
    this.position = position;
    this.time = time;
    this.rules = rules;
    const high = Math.floor(position / UINT32);
    this.state = Math.imul(position >>> 0, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
  }

  /** Mulberry32, seeded by both halves of the position. */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  }
}
