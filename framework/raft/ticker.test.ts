import type { Clock } from '../base/index.ts';
import { World } from '../testing/index.ts';
import { Ticker, type Ticking } from './ticker.ts';

const TICK_MS = 50;

/** Has something to do after so many ticks. */
class Member implements Ticking {
  ticks = 0;
  ticksUntilDue: number;
  readonly toldAt: number[] = [];
  private readonly now: () => number;

  constructor(now: () => number, ticksUntilDue: number) {
    this.now = now;
    this.ticksUntilDue = ticksUntilDue;
  }

  tick(): void {
    this.ticks++;
    if (this.toldAt.at(-1) !== this.now()) this.toldAt.push(this.now());
  }
}

describe('the ticks of groups', () => {
  const start = () => {
    const world = new World(1, { driftPpmMax: 0 });
    const { clock } = world.ports('host');
    const ticker = new Ticker(clock, TICK_MS);
    const begin = clock.now();
    const member = (due: number) => new Member(() => Math.round(clock.now() - begin), due);
    return { world, ticker, member };
  };

  test('are counted, all of them, when one has something to do', async () => {
    const { world, ticker, member } = start();
    const [soon, late] = [member(4), member(100)];
    ticker.add(soon);
    ticker.add(late);
    await world.run(1_010);
    expect([soon.ticks, late.ticks]).toEqual([20, 20]);
    expect(late.toldAt).toEqual([200, 400, 600, 800, 1_000]);
    world.close();
  });

  test('are counted when something happens, and it rings sooner when it has to', async () => {
    const { world, ticker, member } = start();
    const it = member(20);
    ticker.add(it);
    await world.run(120);
    ticker.count();
    expect(it.ticks).toBe(2);
    it.ticksUntilDue = 1;
    ticker.review(it);
    await world.run(40);
    expect(it.toldAt).toEqual([120, 150]);
    world.close();
  });

  test('do not ring for what was put off meanwhile, if nobody else waits', async () => {
    const { world, ticker, member } = start();
    const it = member(10);
    ticker.add(it);
    for (let i = 0; i < 5; i++) {
      await world.run(300);
      ticker.count();
      ticker.review(it);
    }
    expect(it.ticks).toBe(30);
    expect(it.toldAt).toEqual([300, 600, 900, 1_200, 1_500]);
    await world.run(510);
    expect(it.toldAt.slice(5)).toEqual([2_000]);
    world.close();
  });

  test('set one timer a tick, however often what is due comes sooner and later', async () => {
    const { world, member } = start();
    const { clock } = world.ports('host');
    let set = 0;
    const counting: Clock = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      after: (ms, ring) => {
        set++;
        return clock.after(ms, ring);
      },
      defer: (run) => clock.defer(run),
    };
    const ticker = new Ticker(counting, TICK_MS);
    const it = member(10);
    ticker.add(it);
    for (let turn = 0; turn < 100; turn++) {
      await world.run(5);
      it.ticksUntilDue = turn % 2 === 0 ? 1 : 10;
      ticker.count();
      ticker.review(it);
    }
    expect(it.ticks).toBe(10);
    expect(set).toBeLessThan(25);
    world.close();
  });

  test('of a process that was stopped do not come all at once', async () => {
    const { world, ticker, member } = start();
    const it = member(4);
    ticker.add(it);
    world.pause('host');
    await world.run(60_000);
    world.resume('host');
    await world.run(10);
    expect(it.ticks).toBe(4);
    await world.run(210);
    expect(it.ticks).toBe(8);
    world.close();
  });

  test('end when nobody counts them', async () => {
    const { world, ticker, member } = start();
    const it = member(1);
    const leave = ticker.add(it);
    await world.run(110);
    leave();
    const events = world.eventCount;
    await world.run(10_000);
    expect([it.ticks, world.eventCount]).toEqual([2, events]);
    ticker.add(it);
    await world.run(110);
    expect(it.ticks).toBe(4);
    world.close();
  });
});
