// Taken when this is loaded: the global one is guarded while a world runs.
const nextTurn = setImmediate;
const { nextTick } = process;

/** Resolves when every promise that could go on has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTick(resolve);
  });
}

/**
 * As {@link settled}, with a turn of the machine's own: its timers ring, and promises that were rejected unheard are
 * told of. It takes four times as long.
 */
export function turned(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(resolve);
  });
}
