import { tally } from './configuration.ts';
import type { VoteResponse } from './message.ts';
import type { RoleContext } from './role.ts';

/**
 * Begins a campaign (paper §5.2): with a pre-vote, or at once where the election is wanted. A
 * pre-vote that succeeds leads to the real one.
 */
export function campaign(raft: RoleContext, kind: 'pre' | 'election' | 'transfer'): void {
  const pre = kind === 'pre';
  if (pre) raft.becomePreCandidate();
  else raft.becomeCandidate();
  const term = pre ? raft.term + 1 : raft.term;
  const request = {
    type: 'vote',
    pre,
    term,
    lastIndex: raft.log.last,
    lastTerm: raft.log.lastTerm,
    transfer: kind === 'transfer',
  } as const;
  // The own vote counts like any other: once it is durable. The requests wait for it too, so that a
  // candidate that crashed can never mistake old answers for answers to a shorter log.
  const { voters, outgoing } = raft.configuration;
  for (const to of new Set([...voters, ...outgoing])) {
    if (to === raft.id) raft.sendDurable({ type: 'voteResponse', to, pre, granted: true, term });
    else raft.sendDurable({ ...request, to });
  }
}

export function onVoteResponse(raft: RoleContext, message: VoteResponse): void {
  if (raft.role !== (message.pre ? 'preCandidate' : 'candidate')) return;
  raft.count(message.from, message.granted);
  const result = tally(raft.configuration, raft.votes);
  if (result === 'lost') raft.becomeFollower(raft.term, 0);
  else if (result === 'won') {
    if (raft.role === 'preCandidate') campaign(raft, 'election');
    else raft.becomeLeader();
  }
}
