import { realClock } from '../../runtime/index.ts';
import { hedged } from './hedged.ts';

const clock = realClock();
const never = (signal: AbortSignal): Promise<string> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

test('who stands still is not waited for', async () => {
  const { signal } = new AbortController();
  let ended = false;
  const first = (own: AbortSignal): Promise<string> => {
    own.addEventListener('abort', () => {
      ended = true;
    });
    return never(own);
  };
  const result = await hedged(clock, signal, 5, [first, async () => 'second']);
  expect(result).toEqual({ answer: 'second', by: 1 });
  expect(ended).toBe(true);
});

test('who answers in time is asked alone', async () => {
  const { signal } = new AbortController();
  let asked = 0;
  const second = async (): Promise<string> => `${++asked}`;
  const result = await hedged(clock, signal, 10_000, [async () => 'first', second]);
  expect(result).toEqual({ answer: 'first', by: 0 });
  const refused = hedged(clock, signal, 10_000, [() => Promise.reject(new Error('no')), second]);
  await expect(refused).rejects.toThrow('no');
  expect(asked).toBe(0);
});

test('a late answer of the first counts too, and the end of the call ends both', async () => {
  const { signal } = new AbortController();
  const late = (): Promise<string> =>
    new Promise((resolve) => clock.after(30, () => resolve('late')));
  const refusing = () => Promise.reject(new Error('not me'));
  expect(await hedged(clock, signal, 5, [late, refusing])).toEqual({ answer: 'late', by: 0 });
  const caller = new AbortController();
  const call = hedged(clock, caller.signal, 5, [never, never]);
  clock.after(20, () => caller.abort(new Error('enough')));
  await expect(call).rejects.toThrow('enough');
  await expect(hedged(clock, caller.signal, 5, [late, late])).rejects.toThrow('enough');
});
