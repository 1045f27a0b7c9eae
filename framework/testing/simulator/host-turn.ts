// Taken when this is loaded: the global one is guarded while a world runs.
const nextTurn = setImmediate;
const { nextTick } = process;

/** Resolves when every promise that could go on has gone on, and the machine's own timers have rung that were due. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(resolve);
  });
}

/** Resolves when every promise that could go on has gone on. Takes a quarter of the time of {@link settled}. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    nextTick(resolve);
  });
}
