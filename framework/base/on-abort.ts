import { SequenceMap } from './sequence-map.ts';

/** One listener a signal, however many wait for it: Node.js warns of more than ten as a leak. */
const waiting = new WeakMap<AbortSignal, SequenceMap<() => void>>();

/** Calls `run` once when `signal` is aborted, at once if it is; gives back what calls that off. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    run();
    return () => {};
  }
  const callbacks = waiting.get(signal) ?? listen(signal);
  const key = callbacks.add(run);
  return () => {
    callbacks.delete(key);
  };
}

function listen(signal: AbortSignal): SequenceMap<() => void> {
  const callbacks = new SequenceMap<() => void>();
  waiting.set(signal, callbacks);
  signal.addEventListener(
    'abort',
    () => {
      waiting.delete(signal);
      for (const [key, callback] of callbacks) if (callbacks.delete(key)) callback();
    },
    { once: true },
  );
  return callbacks;
}
