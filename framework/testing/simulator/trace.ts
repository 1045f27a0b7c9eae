/** What happened in a run: a hash of all of it, and the last lines for people. */
export class Trace {
  private readonly linesMax: number;
  private readonly ring: string[] = [];
  private low = 0x811c9dc5;
  private high = 0x9e3779b9;
  private count = 0;

  constructor(linesMax = 2_000) {
    this.linesMax = linesMax;
  }

  note(timeMs: number, line: string): void {
    const full = `${timeMs.toFixed(6)} ${line}`;
    for (let i = 0; i < full.length; i++) {
      const code = full.charCodeAt(i);
      this.low = Math.imul(this.low ^ code, 0x01000193);
      this.high = Math.imul(this.high ^ code, 0x5bd1e995) ^ (this.high >>> 15);
    }
    this.ring[this.count++ % this.linesMax] = full;
  }

  /** Two runs that did the same have the same. */
  hash(): string {
    const hex = (it: number): string => (it >>> 0).toString(16).padStart(8, '0');
    return `${hex(this.high)}${hex(this.low)}-${this.count}`;
  }

  /** The newest lines, oldest first. */
  last(lines = this.linesMax): string[] {
    const start = this.count % this.linesMax;
    const ordered =
      this.count <= this.linesMax
        ? this.ring
        : [...this.ring.slice(start), ...this.ring.slice(0, start)];
    return ordered.slice(-lines);
  }
}

/** A short number that stands for bytes in a trace. */
export function fingerprint(bytes: Uint8Array): number {
  let state = bytes.length;
  // A sample of a large message is enough.
  const step = Math.max(1, bytes.length >> 9);
  for (let i = 0; i < bytes.length; i += step) state = Math.imul(state ^ bytes[i]!, 0x01000193);
  return state >>> 0;
}
