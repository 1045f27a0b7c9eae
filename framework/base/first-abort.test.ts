import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { firstAbort } from './first-abort.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('is aborted with the reason of the first, once', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const { signal } = firstAbort(one.signal, undefined, other.signal);
  other.abort('the other');
  one.abort('the one');
  expect(signal.reason).toBe('the other');
  expect(firstAbort(new AbortController().signal, one.signal).signal.reason).toBe('the one');
});

test('is never aborted once it is released', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const { signal, release } = firstAbort(one.signal, other.signal);
  release();
  one.abort();
  other.abort();
  expect(signal.aborted).toBe(false);
});

test('leaves nothing at a signal that lives longer, also where somebody listened', async () => {
  const long = new AbortController();
  const made = Array.from({ length: 100 }, () => {
    const { signal, release } = firstAbort(long.signal, new AbortController().signal);
    signal.addEventListener('abort', () => {});
    release();
    return new WeakRef(signal);
  });
  // What a turn has looked at lives to its end.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(made.filter((it) => it.deref() !== undefined)).toEqual([]);
  expect(long.signal.aborted).toBe(false);
});
