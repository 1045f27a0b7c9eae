/** Breaks the code in one place, for everybody until what it returns is called. */
export type PlantedDefect = () => () => void;

/** Puts something else in the place of a method, or of another property, until what is returned is called. */
export function replace<T extends object, K extends keyof T>(of: T, name: K, by: T[K]): () => void {
  const before = of[name];
  of[name] = by;
  return () => {
    of[name] = before;
  };
}

/** Each defect as the scenario that has it from beginning to end. */
export function planted(
  defects: Readonly<Record<string, PlantedDefect>>,
  scenario: (seed: number) => Promise<unknown>,
): Record<string, (seed: number) => Promise<unknown>> {
  const broken = Object.entries(defects).map(([name, plant]) => {
    const run = async (seed: number): Promise<unknown> => {
      const mend = plant();
      try {
        return await scenario(seed);
      } finally {
        mend();
      }
    };
    return [name, run] as const;
  });
  return Object.fromEntries(broken);
}
