/** One listener a signal, however many wait for it: Node.js warns of more than ten as a leak. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `run` once when `signal` is aborted, at once if it is; gives back what calls that off. */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    run();
    return () => {};
  }
  const callbacks = waiting.get(signal) ?? listen(signal);
  const callback = (): void => run();
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  waiting.set(signal, callbacks);
  signal.addEventListener(
    'abort',
    () => {
      waiting.delete(signal);
      for (const callback of [...callbacks]) if (callbacks.delete(callback)) callback();
    },
    { once: true },
  );
  return callbacks;
}
