// Taken when this is loaded: the global one is guarded while a world runs.
const nextTurn = setImmediate;

/** Resolves when every promise that could go on has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(resolve);
  });
}
