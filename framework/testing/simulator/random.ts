import type { Random } from '../../base/index.ts';

/**
 * Random numbers from a seed and a label (sfc32). Streams of different labels are independent, so
 * that drawing more from one does not change what another gives.
 */
export class SeededRandom implements Random {
  private readonly seed: string;
  private a: number;
  private b: number;
  private c: number;
  private d = 1;

  constructor(seed: string | number) {
    this.seed = String(seed);
    this.a = hash(this.seed, 0x9e3779b9);
    this.b = hash(this.seed, 0x85ebca6b);
    this.c = hash(this.seed, 0xc2b2ae35);
    for (let i = 0; i < 12; i++) this.bits();
  }

  /** An independent stream, always the same for this seed and label. */
  stream(label: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${label}`);
  }

  /** 32 random bits. */
  bits(): number {
    const sum = (this.a + this.b + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    return sum >>> 0;
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  fraction(): number {
    return this.bits() / 2 ** 32;
  }

  id(): string {
    return [this.bits(), this.bits(), this.bits(), this.bits()]
      .map((it) => it.toString(16).padStart(8, '0'))
      .join('');
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** A number from an exponential distribution. */
  exponential(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

function hash(text: string, start: number): number {
  let state = start | 0;
  for (let i = 0; i < text.length; i++) {
    state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
    state ^= state >>> 13;
  }
  state = Math.imul(state ^ (state >>> 16), 0x7feb352d);
  return state ^ (state >>> 15);
}
