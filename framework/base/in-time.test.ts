import { World } from '../testing/index.ts';
import { sleep } from './clock.ts';
import { inTime, unlessAborted } from './in-time.ts';

const never = (): Promise<never> => new Promise(() => {});
const late = (): string => 'late';

/** In a world of its own, whose clock stands still while nothing waits for it. */
function playing(scenario: (ports: ReturnType<World['ports']>) => Promise<void>): Promise<void> {
  const world = new World('in time');
  return world.play(() => scenario(world.ports('a')));
}

describe('inTime', () => {
  test('gives what comes in time, and tells the work that nobody waits any more', () =>
    playing(async ({ clock }) => {
      let passed: AbortSignal | undefined;
      const found = inTime(
        clock,
        100,
        undefined,
        async (signal) => {
          passed = signal;
          await sleep(clock, 99);
          expect(signal.aborted).toBe(false);
          return 7;
        },
        late,
      );
      await expect(found).resolves.toBe(7);
      expect(passed?.aborted).toBe(true);
    }));

  test('throws when the time is up', () =>
    playing(async ({ clock }) => {
      const begun = clock.now();
      let passed: AbortSignal | undefined;
      const found = inTime(
        clock,
        100,
        undefined,
        (signal) => {
          passed = signal;
          return never();
        },
        late,
      );
      await expect(found).rejects.toBe('late');
      expect(clock.now() - begun).toBeCloseTo(100, 0);
      expect(passed?.aborted).toBe(true);
    }));

  test('ends with the caller, also one who has given up before', () =>
    playing(async ({ clock }) => {
      const ending = new AbortController();
      const begun = clock.now();
      const found = inTime(clock, 100, ending.signal, never, late);
      ending.abort('enough');
      await expect(found).rejects.toBe('enough');
      await expect(inTime(clock, 100, ending.signal, never, late)).rejects.toBe('enough');
      expect(clock.now()).toBe(begun);
    }));
});

describe('unlessAborted', () => {
  test('is the work, until the signal is aborted', async () => {
    const ending = new AbortController();
    await expect(unlessAborted(Promise.resolve(7), ending.signal)).resolves.toBe(7);
    await expect(unlessAborted(Promise.reject('no'), ending.signal)).rejects.toBe('no');
    const waiting = unlessAborted(never(), ending.signal);
    ending.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    await expect(unlessAborted(never(), ending.signal)).rejects.toBe('enough');
  });
});
