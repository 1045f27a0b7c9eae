/** A time that is shared out among what it went to. Whatever is taken of it, the shares and the rest add up to it. */
export class TimeLeft {
  private left: number;

  constructor(ms: number) {
    this.left = Math.max(0, ms);
  }

  /** What was taken by nobody yet. */
  get rest(): number {
    return this.left;
  }

  /** So much of it, or what is left of it: clocks of several machines may not agree on how long something took. */
  take(ms: number): number {
    const taken = Math.max(0, Math.min(ms, this.left));
    this.left -= taken;
    return taken;
  }
}
