import { endInTime, interrupted } from './told-to-end.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

describe('a process that is told to end', () => {
  const before = SIGNALS.map((it) => new Set(process.rawListeners(it)));
  const kill = jest.spyOn(process, 'kill').mockReturnValue(true);
  afterEach(() => {
    kill.mockClear();
    jest.restoreAllMocks();
    for (const [i, signal] of SIGNALS.entries()) {
      for (const it of process.rawListeners(signal)) {
        if (!before[i]!.has(it)) process.removeListener(signal, it as () => void);
      }
    }
  });

  test.each(SIGNALS)('hears %s, and that it is said again', (signal) => {
    const told = interrupted();
    expect(told.aborted).toBe(false);
    for (const it of [signal, ...SIGNALS]) process.emit(it);
    expect(told).toMatchObject({ aborted: true, reason: { code: 'CANCELLED' } });
    expect(kill).not.toHaveBeenCalled();
  });
});

describe('what a process does until it is told to end', () => {
  const never = new Promise<never>(() => {});

  test('has no limit before', async () => {
    const soon = new Promise((resolve) => setTimeout(() => resolve('done'), 50));
    expect(await endInTime(never, soon, 1)).toBe('done');
  });

  test('is given up when it goes on for long after that', async () => {
    const late = endInTime(Promise.resolve(), never, 20);
    await expect(late).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/had not ended in order.*start it again/),
    });
  });

  test('ends with what came of it', async () => {
    const told = Promise.resolve();
    expect(await endInTime(told, Promise.resolve(7), 10_000)).toBe(7);
    await expect(endInTime(told, Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  });
});
