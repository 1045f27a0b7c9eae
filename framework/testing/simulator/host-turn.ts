// Taken when this is loaded: the global one is guarded while a world runs.
const nextTurn = setImmediate;

/** So many turns are asked for together: the machine is asked once for all of them what else there is to do, which takes longer than most turns. */
const TURNS_TOGETHER = 64;

/** Resolves when every promise that could go on has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(resolve);
  });
}

/**
 * Calls `turn` again and again, until it returns false: each time when every promise that could go on has gone on, and
 * rejections that nobody heard have been reported, as Node.js does after every single callback. Rejects with what
 * `turn` throws.
 */
export function eachTurn(turn: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const takeTurn = (): void => {
      if (over) return;
      try {
        over = !turn();
        if (over) resolve();
      } catch (error) {
        over = true;
        reject(error);
      }
    };
    const takeTurns = (): void => {
      if (over) return;
      for (let i = 0; i < TURNS_TOGETHER; i++) nextTurn(takeTurn);
      nextTurn(takeTurns);
    };
    takeTurns();
  });
}
