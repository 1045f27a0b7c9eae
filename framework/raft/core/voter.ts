import type { VoteRequest } from './message.ts';
import type { RoleContext } from './role.ts';

/** RequestVote (paper §5.2, §5.4.1), and the pre-vote of thesis §9.6. */
export function onVote(raft: RoleContext, request: VoteRequest): void {
  if (raft.disqualified) return;
  const { from: to, pre, term } = request;
  const granted =
    raft.canVoteFor(request) && raft.log.isUpToDate(request.lastIndex, request.lastTerm);
  if (!granted) {
    raft.sendDurable({ type: 'voteResponse', to, pre, granted });
  } else if (pre) {
    raft.send({ type: 'voteResponse', to, pre, granted, term });
  } else {
    if (raft.vote !== to) raft.voteFor(to);
    raft.restartElectionElapsed();
    raft.sendDurable({ type: 'voteResponse', to, pre, granted });
  }
}
