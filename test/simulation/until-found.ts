/** So many are tried. */
const SEEDS = 40;

/**
 * Runs a scenario with a planted defect, seed by seed from `first` on, until one run fails. Resolves with what that run says,
 * and rejects where none does: then the scenario would not find such a defect.
 */
export async function untilFound(
  scenario: (seed: number) => Promise<unknown>,
  first = 1,
): Promise<string> {
  for (let seed = first; seed < first + SEEDS; seed++) {
    try {
      await scenario(seed);
    } catch (error) {
      console.log(`seed ${seed}: ${String(error).slice(0, 300)}`);
      return String(error);
    }
  }
  throw new Error(`not found in ${SEEDS} seeds`);
}
