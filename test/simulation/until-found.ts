/**
 * Runs a scenario with a planted defect, seed by seed, until one run fails. Resolves with what that run says, and rejects
 * where none of the first `seeds` does: then the scenario would not find such a defect.
 */
export async function untilFound(
  scenario: (seed: number) => Promise<unknown>,
  seeds = 40,
): Promise<string> {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await scenario(seed);
    } catch (error) {
      console.log(`seed ${seed}: ${String(error).slice(0, 300)}`);
      return String(error);
    }
  }
  throw new Error(`not found in ${seeds} seeds`);
}
