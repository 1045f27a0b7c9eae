/** A rule of Raft that was broken; R1 to R21 are numbered as in the list of invariants in its text. */
export class Violation extends Error {}

export function must(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Violation(rule);
}
