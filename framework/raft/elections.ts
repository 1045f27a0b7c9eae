import type { Raft } from './core/index.ts';

/** What one member has seen of elections since its start. */
export class Elections {
  /** Those that it stood for. */
  campaigns = 0;
  /** How often another leader was found than the one before. */
  leaderChanges = 0;
  private readonly raft: Raft;
  private knownTerm = 0;
  private knownLeader = 0;
  private lostLeader: { readonly leader: number; readonly silentTicks: number } | undefined;

  constructor(raft: Raft) {
    this.raft = raft;
  }

  /**
   * Who led when this member began to look for another leader, because the connection to it broke, or it had been silent
   * for so many ticks; `undefined` since it follows one again, and where it looked for one for another reason.
   */
  get lost(): { readonly leader: number; readonly silentTicks: number } | undefined {
    return this.lostLeader;
  }

  /** Passes on a tick; returns what the core does. */
  tick(): boolean {
    const { leader, electionElapsed } = this.raft;
    const due = this.raft.tick();
    this.noteLoss(leader, electionElapsed + 1);
    return due;
  }

  /** Passes on that the connection to a member broke. */
  disconnected(member: number): void {
    const { leader } = this.raft;
    this.raft.disconnected(member);
    this.noteLoss(leader, 0);
  }

  /** Looks at the core after each turn. */
  look(): void {
    const { term, vote, leader, id } = this.raft;
    if (term !== this.knownTerm && vote === id) this.campaigns++;
    this.knownTerm = term;
    if (leader === 0) return;
    if (leader !== id) this.lostLeader = undefined;
    if (leader === this.knownLeader) return;
    this.knownLeader = leader;
    this.leaderChanges++;
  }

  private noteLoss(leader: number, silentTicks: number): void {
    if (leader === 0 || leader === this.raft.id || this.raft.leader !== 0) return;
    this.lostLeader = { leader, silentTicks };
  }
}
