import fc from 'fast-check';
import { type Anchor, clockAt, timeBehind } from './log-time.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEARS = 50 * 365 * DAY;

/** Clients that write in turn, each with its own clock: what the log's time is after each step. */
class Writers {
  time = 0;
  private readonly anchors: (Anchor | undefined)[];
  private readonly offsets: number[];

  constructor(offsets: number[]) {
    this.offsets = offsets;
    this.anchors = offsets.map(() => undefined);
  }

  write(writer: number, realTime: number): number {
    const clock = realTime + this.offsets[writer]!;
    this.time = timeBehind(this.time, clock, this.anchors[writer], DAY);
    this.anchors[writer] = { clock, usedAt: this.time };
    return this.time;
  }
}

describe('log time', () => {
  test('follows a true clock exactly, over nights without a command', () => {
    const writers = new Writers([0]);
    let real = 1e12;
    for (const ms of [0, 1, 5, HOUR, 12 * HOUR, DAY, 3]) {
      real += ms;
      expect(writers.write(0, real)).toBe(real);
    }
  });

  test('a clock that is 50 years ahead brings it forward by a day and no more, and it comes back', () => {
    const writers = new Writers([0, YEARS]);
    let real = 1e12;
    writers.write(0, real);
    expect(writers.write(1, real)).toBe(real + DAY);
    for (let i = 0; i < 100; i++) {
      real += 1_000;
      writers.write(i % 2, real);
    }
    expect(writers.time).toBeLessThanOrEqual(real + DAY + 200_000);
    for (let i = 0; i < 100; i++) {
      real += HOUR;
      writers.write(0, real);
    }
    expect(writers.time).toBe(real);
  });

  test('never goes back, and runs at between half and double speed while all clocks run true', () => {
    const offset = fc.oneof(fc.integer({ min: -5_000, max: 5_000 }), fc.constant(YEARS));
    fc.assert(
      fc.property(
        fc.array(offset, { minLength: 1, maxLength: 4 }),
        fc.array(fc.record({ writer: fc.nat(3), ms: fc.nat(60_000) }), { maxLength: 100 }),
        (offsets, steps) => {
          const writers = new Writers(offsets);
          let real = 1e12;
          for (let i = 0; i < offsets.length; i++) writers.write(i, real);
          const [begun, began] = [writers.time, real];
          let last = begun;
          for (const { writer, ms } of steps) {
            real += ms;
            const time = writers.write(writer % offsets.length, real);
            expect(time).toBeGreaterThanOrEqual(last);
            last = time;
          }
          expect(last - begun).toBeLessThanOrEqual(2 * (real - began));
        },
      ),
    );
  });

  test('the clock that brings it to a moment is the first one that does', () => {
    const time = fc.integer({ min: 0, max: HOUR });
    fc.assert(
      fc.property(time, time, time, (clock, usedAt, ahead) => {
        const anchor = { clock, usedAt };
        const at = usedAt + ahead;
        const needed = clockAt(at, anchor);
        expect(timeBehind(usedAt, needed, anchor, DAY)).toBeGreaterThanOrEqual(at);
        if (ahead > 0) expect(timeBehind(usedAt, needed - 1, anchor, DAY)).toBeLessThan(at);
      }),
    );
  });
});
