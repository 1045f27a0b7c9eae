interface Line {
  readonly timeMs: number;
  readonly text: string;
}

/** What happened in a run: a hash of all of it, and the last lines for people. */
export class Trace {
  private readonly linesMax: number;
  /** Written out only for people: most lines are never read. */
  private readonly ring: Line[] = [];
  private readonly time = new Float64Array(1);
  private readonly timeBits = new Int32Array(this.time.buffer);
  private low = 0x811c9dc5;
  private high = 0x9e3779b9;
  private count = 0;

  constructor(linesMax = 2_000) {
    this.linesMax = linesMax;
  }

  note(timeMs: number, text: string): void {
    this.time[0] = timeMs;
    this.mix(this.timeBits[0]!);
    this.mix(this.timeBits[1]!);
    let { low, high } = this;
    // As `mix` does, written out: most of the time of a trace is spent here.
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code, 0x5bd1e995) ^ (high >>> 15);
    }
    this.low = low;
    this.high = high;
    this.ring[this.count++ % this.linesMax] = { timeMs, text };
  }

  private mix(code: number): void {
    this.low = Math.imul(this.low ^ code, 0x01000193);
    this.high = Math.imul(this.high ^ code, 0x5bd1e995) ^ (this.high >>> 15);
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
    return ordered.slice(-lines).map(({ timeMs, text }) => `${timeMs.toFixed(6)} ${text}`);
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
