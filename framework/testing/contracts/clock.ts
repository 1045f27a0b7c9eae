import assert from 'node:assert/strict';
import { type Clock, sleep } from '../../base/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** A clock to be tested. */
export interface ClockUnderTest extends Closable {
  readonly clock: Clock;
  /** Runs a scenario; where time is virtual, moves it until the scenario has ended. */
  run(scenario: () => Promise<void>): Promise<void>;
}

/**
 * What every {@link Clock} has to do. Nothing depends on how long anything takes.
 *
 * ```ts
 * const make = async () => ({ clock: realClock(), run: (it) => it(), close: async () => {} });
 * for (const { title, run } of clockContract(make)) test(title, run);
 * ```
 */
export function clockContract(make: () => Promise<ClockUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    const scenario = (title: string, play: (clock: Clock) => Promise<void>): void => {
      test(title, ({ clock, run }) => run(() => play(clock)));
    };

    scenario(
      'monotonic time never goes back, and a timer rings no earlier than asked',
      async (clock) => {
        const from = clock.now();
        await sleep(clock, 10);
        // A millisecond for a timer that counts in whole ones, a thousandth for a clock that drifts.
        const passed = clock.now() - from;
        assert.ok(passed >= 8.9, `it rang after ${passed} ms`);
      },
    );

    scenario('timers ring in the order of their times, each once', async (clock) => {
      const rang: string[] = [];
      clock.after(40, () => rang.push('late'));
      clock.after(1, () => rang.push('early'));
      await sleep(clock, 80);
      assert.deepEqual(rang, ['early', 'late']);
    });

    scenario('a cancelled timer does not ring', async (clock) => {
      let rang = false;
      const timer = clock.after(1, () => {
        rang = true;
      });
      timer.cancel();
      timer.cancel();
      await sleep(clock, 20);
      assert.equal(rang, false);
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
        assert.deepEqual(ran, ['now', 'one', 'two', 'three']);
      },
    );

    scenario('sleep ends with the reason of its signal', async (clock) => {
      const controller = new AbortController();
      const reason = new Error('enough');
      clock.after(1, () => controller.abort(reason));
      await assert.rejects(sleep(clock, 60_000, controller.signal), (it) => it === reason);
      await assert.rejects(sleep(clock, 60_000, controller.signal), (it) => it === reason);
    });
  });
}
