import type { Logger, MemberId } from '../../base/index.ts';
import type { RaftStatus } from '../../raft/index.ts';

/** Says in the log of a member who leads the metadata repository, and why that changed, as far as the member knows. */
export class LeaderChangeLog {
  private readonly member: MemberId;
  private readonly logger: Logger;
  private leader: MemberId | undefined;
  private term = 0;

  constructor(member: MemberId, logger: Logger) {
    this.member = member;
    this.logger = logger;
  }

  observe(status: RaftStatus): void {
    const { term } = status;
    const leader = status.leader?.id;
    if (leader === this.leader && (term === this.term || leader === undefined)) return;
    const facts = { member: this.member, term };
    const before = this.leader;
    this.leader = leader;
    this.term = term;
    if (leader !== undefined) {
      const why = leader === this.member ? 'a majority voted for this member' : 'it says so';
      const { address } = status.leader!;
      this.log('info', 'the metadata repository has a leader', { ...facts, leader, address, why });
      return;
    }
    const why = whyLost(status, before === this.member);
    this.log('warn', 'the metadata repository has no leader', { ...facts, before, why });
  }

  private log(level: 'info' | 'warn', event: string, facts: Record<string, unknown>): void {
    this.logger.log(level, event, facts);
  }
}

function whyLost({ role, removed, resigned }: RaftStatus, wasLeader: boolean): string {
  if (role === 'closed') return 'this member ended';
  if (removed) return 'this member was removed';
  if (wasLeader && resigned !== undefined) return `this member resigned: ${resigned}`;
  if (role === 'candidate' || role === 'preCandidate') return 'the leader was silent';
  if (wasLeader) return 'a majority did not answer this member, or it stood down for another one';
  return 'another member stands for election';
}
