import { assert, type LogIndex } from '../../base/index.ts';

/** Who belongs to a group. A value: a change makes a new one. */
export interface Configuration {
  /**
   * Which group this is, of all that were ever made: 128 random bits as 32 hex digits. The first leader that a
   * group ever has puts it into the first entry, and no change touches it; empty before.
   */
  readonly identity: string;
  /** Ids of the members that vote, without repetition. */
  readonly voters: readonly number[];
  /**
   * While the voters are being changed (joint consensus, paper §6): those from before, of whom a
   * majority is needed too. Otherwise empty.
   */
  readonly outgoing: readonly number[];
  /** Members that receive the log and do not vote (thesis §4.2.1). */
  readonly learners: readonly number[];
  /** Where members listen. The core only carries it. */
  readonly addresses: ReadonlyMap<number, string>;
  /** Which disk each member has, as far as the group knows. The core only carries it. */
  readonly incarnations: ReadonlyMap<number, string>;
  /** Ids of those who belonged to the group and were removed: nobody gets one of them again. The core only carries it. */
  readonly retired: readonly number[];
}

/** What a change leads to: who votes and who only learns. */
export type MemberChange = Omit<Configuration, 'outgoing' | 'identity' | 'retired'>;

/** Whether a member votes, in a change before it or after it. */
export function isVoter({ voters, outgoing }: Configuration, member: number): boolean {
  return voters.includes(member) || outgoing.includes(member);
}

/** All members, each once. */
export function membersOf({ voters, outgoing, learners }: Configuration): Set<number> {
  return new Set([...voters, ...outgoing, ...learners]);
}

/** The configuration that a change begins with: joint where the voters change. */
export function enter(from: Configuration, change: MemberChange): Configuration {
  const { voters, learners } = change;
  assert(voters.length > 0, 'a group has voters');
  const same = voters.length === from.voters.length && voters.every((it) => isVoter(from, it));
  const addresses = new Map([...from.addresses, ...change.addresses]);
  const incarnations = new Map([...from.incarnations, ...change.incarnations]);
  const outgoing = same ? [] : from.voters;
  return ofMembers({ ...from, voters, learners, outgoing, addresses, incarnations }, from);
}

/** The configuration that ends a change. */
export function leave(joint: Configuration): Configuration {
  return ofMembers({ ...joint, outgoing: [] }, joint);
}

/** The largest index that a majority of voters has reached (paper §5.3), in a change each majority. */
export function quorumIndex(
  { voters, outgoing }: Configuration,
  reached: (member: number) => LogIndex,
): LogIndex {
  return Math.min(majorityIndex(voters, reached), majorityIndex(outgoing, reached));
}

/** How an election stands; members that did not answer are absent from `votes`. */
export function tally(
  { voters, outgoing }: Configuration,
  votes: ReadonlyMap<number, boolean>,
): 'won' | 'lost' | 'open' {
  const results = [majorityVote(voters, votes), majorityVote(outgoing, votes)];
  if (results.includes('lost')) return 'lost';
  return results.includes('open') ? 'open' : 'won';
}

/** Whether a majority of voters satisfies `holds`, in a change each majority. */
export function hasQuorum(
  { voters, outgoing }: Configuration,
  holds: (member: number) => boolean,
): boolean {
  return hasMajority(voters, holds) && hasMajority(outgoing, holds);
}

/** The index that a majority of `voters` has reached. Infinity when there are none, so that the other majority decides. */
function majorityIndex(voters: readonly number[], reached: (member: number) => LogIndex): LogIndex {
  const sorted = voters.map(reached).sort((a, b) => b - a);
  return sorted[sorted.length >> 1] ?? Infinity;
}

function majorityVote(
  voters: readonly number[],
  votes: ReadonlyMap<number, boolean>,
): 'won' | 'lost' | 'open' {
  const granted = (it: number): boolean => votes.get(it) === true;
  const possible = (it: number): boolean => votes.get(it) !== false;
  if (hasMajority(voters, granted)) return 'won';
  return hasMajority(voters, possible) ? 'open' : 'lost';
}

function hasMajority(voters: readonly number[], holds: (member: number) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (holds(voter)) count++;
  return voters.length === 0 || count > voters.length >> 1;
}

/** Forgets what is known of others, except that they have belonged to it. */
function ofMembers(configuration: Configuration, before: Configuration): Configuration {
  const members = membersOf(configuration);
  const known = new Set([...before.retired, ...membersOf(before)]);
  const retired = [...known].filter((it) => !members.has(it));
  const keep = (map: ReadonlyMap<number, string>): Map<number, string> =>
    new Map([...map].filter(([member]) => members.has(member)));
  const { addresses, incarnations } = configuration;
  const kept = { addresses: keep(addresses), incarnations: keep(incarnations) };
  return { ...configuration, ...kept, retired };
}
