import { sleep, VarlogError } from '../base/index.ts';
import { closedError } from './commands.ts';
import type { MemberContext } from './member-context.ts';

/** A leader whose own disk lags by more than this takes nothing more: the others may be quicker. */
const UNSYNCED_BYTES_MAX = 64 * 1024 * 1024;
/** One whose disk does not get on at all for so many election timeouts hands over. */
const STALL_ELECTIONS = 3;
/** After a handover that did not work out, the next try is that many election timeouts later. */
const PAUSE_ELECTIONS = 5;

/**
 * Gives leadership away: because it was asked for, because this member's disk does not keep up, or because what runs on it
 * failed. A leader does not need its own disk to commit; without this it would lead until its memory is full.
 */
export class Handover {
  /** Why this member does not lead any more, once its user said so. */
  resigned: string | undefined;
  private readonly context: MemberContext;
  private tries = 0;
  private nextTryMs = 0;
  private stepDownMs = Infinity;

  constructor(context: MemberContext) {
    this.context = context;
  }

  /** Why this member should not lead, if there is a reason. It could not even write down that it campaigns. */
  get reason(): string | undefined {
    return this.resigned ?? this.trouble;
  }

  /** What is wrong with this member's disk, if anything is. */
  get trouble(): 'full' | 'stalled' | undefined {
    const { storage } = this.context.options;
    if (storage.full !== undefined) return 'full';
    const stalledMs = this.now() - storage.waitingSinceMs;
    return stalledMs > STALL_ELECTIONS * this.electionMs ? 'stalled' : undefined;
  }

  /** Whether this member takes proposals: what its disk has not written yet is in its memory. */
  get mayPropose(): boolean {
    const { storage } = this.context.options;
    return storage.full === undefined && storage.pendingBytes <= UNSYNCED_BYTES_MAX;
  }

  /** Why appends are refused at once: there is no room for them here, and nobody else took over. */
  get refusal(): VarlogError | undefined {
    const { storage } = this.context.options;
    if (storage.full === undefined) return undefined;
    const begun = this.tries > 0 && this.context.raft.leadership?.transferTo === 0;
    return begun || this.heirs().length === 0 ? storage.full : undefined;
  }

  /** Looks, once per turn, whether this member leads and should not. */
  review(): void {
    const { reason } = this;
    const { raft, options } = this.context;
    if (raft.role !== 'leader' || reason === undefined) {
      this.tries = 0;
      this.nextTryMs = 0;
      this.stepDownMs = Infinity;
      return;
    }
    const now = this.now();
    if (this.resigned !== undefined) {
      if (this.stepDownMs === Infinity) this.stepDownMs = now + this.electionMs;
      if (now >= this.stepDownMs) raft.becomeFollower(raft.term, 0);
    }
    if (now < this.nextTryMs || raft.role !== 'leader') return;
    this.nextTryMs = now + PAUSE_ELECTIONS * this.electionMs;
    const heirs = this.heirs();
    const heir = heirs[this.tries++ % heirs.length];
    if (heir === undefined || !raft.transferLeadership(heir)) return;
    const { logger } = options.ports;
    logger.log('warn', 'raft.handover', { group: options.groupId, to: heir, reason });
  }

  /** Hands leadership to `to`, or to the member that is most up to date. Resolves when it is given away. */
  async transfer(to: number | undefined): Promise<void> {
    const { raft, options } = this.context;
    if (raft.role !== 'leader') {
      throw new VarlogError('NOT_LEADER', {
        what: `member ${options.memberId} does not lead group "${options.groupId}"`,
        next: 'ask the leader to hand over',
      });
    }
    const heir = to ?? this.heirs()[0];
    if (heir === options.memberId) {
      // To stay, whatever was begun before.
      raft.transferLeadership(heir);
      return;
    }
    if (heir === undefined || !raft.transferLeadership(heir)) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `leadership of group "${options.groupId}" cannot go to ${heir === undefined ? 'another member' : `member ${heir}`}`,
        because: `the members that vote are ${raft.configuration.voters.join(', ')}`,
        next: 'name a member that votes',
      });
    }
    const { term } = raft;
    const deadline = this.now() + this.electionMs;
    this.context.schedule();
    while (raft.role === 'leader' && raft.term === term) {
      if (this.context.isClosed) throw closedError(options.groupId);
      if (this.now() >= deadline) {
        throw new VarlogError('TIMEOUT', {
          what: `member ${heir} did not take over leadership of group "${options.groupId}"`,
          because: 'it is down, or far behind',
          next: 'look at it, or name another member',
        });
      }
      await sleep(options.ports.clock, options.resources.ticker.tickMs / 5);
    }
  }

  private heirs(): number[] {
    const { raft, options } = this.context;
    const matchOf = (id: number): number => raft.leadership?.progress.get(id)?.match ?? 0;
    const others = raft.configuration.voters.filter((id) => id !== options.memberId);
    return others.sort((a, b) => matchOf(b) - matchOf(a));
  }

  private get electionMs(): number {
    const { electionTicks, resources } = this.context.options;
    return electionTicks * resources.ticker.tickMs;
  }

  private now(): number {
    return this.context.options.ports.clock.now();
  }
}
