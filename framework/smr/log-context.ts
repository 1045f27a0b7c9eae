import type { ApplyContext } from './state-machine.ts';

const UINT32 = 2 ** 32;

/** The context of one command. Position and time are set anew for each where one object is reused. */
export class LogContext implements ApplyContext {
  position: number;
  time: number;
  private seededFor = -1;
  private state = 0;

  constructor(position = 0, time = 0) {
    this.position = position;
    this.time = time;
  }

  /** Mulberry32, seeded by both halves of the position. */
  random(): number {
    if (this.seededFor !== this.position) {
      this.seededFor = this.position;
      const high = Math.floor(this.position / UINT32);
      this.state = Math.imul(this.position >>> 0, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
    }
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  }
}
