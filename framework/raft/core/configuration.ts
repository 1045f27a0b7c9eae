/** Who belongs to a group. A value: a change makes a new one. */
export interface Configuration {
  /** Ids of the members that vote, without repetition. */
  readonly voters: readonly number[];
}

/** The largest index that a majority of voters has reached (paper §5.3). */
export function quorumIndex(
  configuration: Configuration,
  reached: (member: number) => number,
): number {
  const sorted = configuration.voters.map(reached).sort((a, b) => b - a);
  return sorted[sorted.length >> 1] ?? 0;
}

/** How an election stands; members that did not answer are absent from `votes`. */
export function tally(
  configuration: Configuration,
  votes: ReadonlyMap<number, boolean>,
): 'won' | 'lost' | 'open' {
  const { voters } = configuration;
  const majority = (voters.length >> 1) + 1;
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted++;
    else if (vote === false) refused++;
  }
  if (granted >= majority) return 'won';
  return voters.length - refused < majority ? 'lost' : 'open';
}

/** Whether a majority of voters satisfies `holds`. */
export function hasQuorum(
  configuration: Configuration,
  holds: (member: number) => boolean,
): boolean {
  let count = 0;
  for (const voter of configuration.voters) if (holds(voter)) count++;
  return count > configuration.voters.length >> 1;
}
