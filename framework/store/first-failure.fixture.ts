/** Plays seeds from 0 on. What the first one that fails says, with its number; `undefined` where none does. */
export async function firstFailure(
  seeds: number,
  play: (seed: number) => Promise<void>,
): Promise<string | undefined> {
  for (let seed = 0; seed < seeds; seed++) {
    try {
      await play(seed);
    } catch (error) {
      return `seed ${seed}: ${(error as Error).stack}`;
    }
  }
  return undefined;
}
