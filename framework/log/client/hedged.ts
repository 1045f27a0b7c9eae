import { type Clock, onAbort, type Timer } from '../../base/index.ts';

/**
 * Asks one, and after `afterMs` without an answer another one as well; the first good answer counts, and ends the other
 * call. Who stands still then costs `afterMs` and not a time-out ("The Tail at Scale", Dean and Barroso). Rejects like
 * the one asked first when neither answers well. For calls that may be carried out twice.
 */
export function hedged<T>(
  clock: Clock,
  signal: AbortSignal,
  afterMs: number,
  asks: readonly ((signal: AbortSignal) => Promise<T>)[],
): Promise<{ answer: T; by: number }> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const errors: unknown[] = [];
    let open = 0;
    let next = 0;
    let timer: Timer | undefined;
    const forget = onAbort(signal, () => end(() => reject(signal.reason)));
    const end = (settle: () => void): void => {
      timer?.cancel();
      forget();
      settle();
      // Nobody listens else, and an abort makes an error with a stack.
      if (open > 0) over.abort();
    };
    const ask = (): void => {
      const by = next++;
      open++;
      asks[by]!(over.signal).then(
        (answer) => {
          open--;
          end(() => resolve({ answer, by }));
        },
        (error: unknown) => {
          errors[by] = error;
          // One that was refused at once is not what this is for: the caller decides whom to ask then.
          if (--open === 0) end(() => reject(errors[0]));
        },
      );
      if (next < asks.length) timer = clock.after(afterMs, ask);
    };
    ask();
  });
}
