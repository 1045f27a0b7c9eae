import type { MemberContext } from './member-context.ts';

/** A leader leads for at least so many election timeouts before it hands over to the member that is preferred. */
const PAUSE_ELECTIONS = 5;
/** A member that does not take over is asked half as often each time, and at least once in so many. */
const PAUSE_ELECTIONS_MAX = 320;

/**
 * Hands leadership to the member that is to lead, once it has all that is committed. One that does not take over costs an
 * election timeout without appends each time, and one that comes and goes two elections: so it is asked rarely.
 */
export class PreferredLeader {
  private readonly context: MemberContext;
  private pauseMs = 0;
  private dueMs = Infinity;

  constructor(context: MemberContext) {
    this.context = context;
  }

  /** Looks, once per turn, whether another member is to lead, and can. */
  review(): void {
    const { raft, options } = this.context;
    const { preferredLeader: preferred, electionTicks, resources, ports } = options;
    if (preferred === undefined || preferred === options.memberId) return;
    const now = ports.clock.now();
    const electionMs = electionTicks * resources.ticker.tickMs;
    if (raft.role !== 'leader') {
      this.dueMs = Infinity;
      return;
    }
    if (this.dueMs === Infinity) {
      this.pauseMs = PAUSE_ELECTIONS * electionMs;
      this.dueMs = now + this.pauseMs;
    }
    if (now < this.dueMs || !this.isLevel(preferred)) return;
    this.pauseMs = Math.min(2 * this.pauseMs, PAUSE_ELECTIONS_MAX * electionMs);
    this.dueMs = now + this.pauseMs;
    if (!raft.transferLeadership(preferred)) return;
    const fields = { group: options.groupId, to: preferred };
    ports.logger.log('info', 'raft.handover.preferred', fields);
  }

  private isLevel(member: number): boolean {
    const { configuration, leadership, log } = this.context.raft;
    const progress = leadership?.progress.get(member);
    if (progress === undefined || !configuration.voters.includes(member)) return false;
    return progress.mode === 'replicate' && progress.match >= log.commit;
  }
}
