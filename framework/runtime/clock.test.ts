import { type ClockUnderTest, clockContract } from '../testing/contracts/index.ts';
import { realClock } from './clock.ts';
import { hostTimers } from './host-timers.ts';

describe('the real clock keeps the contract of all clocks', () => {
  const make = async (): Promise<ClockUnderTest> => ({
    clock: realClock(),
    run: (scenario) => scenario(),
    close: async () => {},
  });
  for (const { title, run } of clockContract(make)) test(title, run);
});

describe('the real clock', () => {
  test('takes a time that no timer can hold for what it is: long', () => {
    jest.useFakeTimers();
    try {
      const clock = realClock({ timers: { ...hostTimers, setTimeout, clearTimeout } });
      let rang = 0;
      const ring = (): void => {
        rang++;
      };
      const month = 30 * 24 * 3600 * 1000;
      const never = clock.after(Infinity, ring);
      clock.after(month, ring);
      jest.advanceTimersByTime(month - 1);
      expect(rang).toBe(0);
      jest.advanceTimersByTime(1);
      expect(rang).toBe(1);
      never.cancel();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  test('in the background, its timers do not keep a process alive', () => {
    const background = setTimeoutRefs({ background: true });
    const foreground = setTimeoutRefs({});
    expect({ background, foreground }).toEqual({ background: false, foreground: true });
  });

  function setTimeoutRefs(options: { background?: boolean }): boolean {
    const set = jest.fn(hostTimers.setTimeout);
    const timers = { ...hostTimers, setTimeout: set };
    const timer = realClock({ ...options, timers }).after(1000, () => {});
    const kept = (set.mock.results[0]!.value as NodeJS.Timeout).hasRef();
    timer.cancel();
    return kept;
  }
});
