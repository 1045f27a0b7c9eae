import { type Clock, sleep } from '../../base/index.ts';

/** A clock to be tested. */
export interface ClockUnderTest {
  readonly clock: Clock;
  /** Runs a scenario; where time is virtual, moves it until the scenario has ended. */
  run(scenario: () => Promise<void>): Promise<void>;
}

/**
 * Registers the tests that every {@link Clock} has to pass. None depends on how long anything takes.
 *
 * ```ts
 * clockContract('the real clock', async () => ({ clock: realClock(), run: (it) => it() }));
 * ```
 */
export function clockContract(name: string, make: () => Promise<ClockUnderTest>): void {
  describe(`${name} keeps the clock contract`, () => {
    const scenario = (title: string, play: (clock: Clock) => Promise<void>): void => {
      test(title, async () => {
        const { clock, run } = await make();
        await run(() => play(clock));
      });
    };

    scenario(
      'monotonic time never goes back, and a timer rings no earlier than asked',
      async (clock) => {
        const from = clock.now();
        await sleep(clock, 10);
        // A millisecond for a timer that counts in whole ones, a thousandth for a clock that drifts.
        expect(clock.now() - from).toBeGreaterThanOrEqual(8.9);
      },
    );

    scenario('timers ring in the order of their times, each once', async (clock) => {
      const rang: string[] = [];
      clock.after(40, () => rang.push('late'));
      clock.after(1, () => rang.push('early'));
      await sleep(clock, 80);
      expect(rang).toEqual(['early', 'late']);
    });

    scenario('a cancelled timer does not ring', async (clock) => {
      let rang = false;
      const timer = clock.after(1, () => {
        rang = true;
      });
      timer.cancel();
      timer.cancel();
      await sleep(clock, 20);
      expect(rang).toBe(false);
      const past = clock.after(1, () => {});
      await sleep(clock, 20);
      past.cancel();
    });

    scenario(
      'deferred work runs in order, after this turn and before time passes',
      async (clock) => {
        const ran: string[] = [];
        await new Promise<void>((resolve) => {
          clock.defer(() => {
            ran.push('one');
            clock.defer(() => {
              ran.push('three');
              resolve();
            });
          });
          clock.defer(() => ran.push('two'));
          ran.push('now');
        });
        expect(ran).toEqual(['now', 'one', 'two', 'three']);
      },
    );

    scenario('sleep ends with the reason of its signal', async (clock) => {
      const controller = new AbortController();
      const reason = new Error('enough');
      clock.after(1, () => controller.abort(reason));
      await expect(sleep(clock, 60_000, controller.signal)).rejects.toBe(reason);
      await expect(sleep(clock, 60_000, controller.signal)).rejects.toBe(reason);
    });
  });
}
