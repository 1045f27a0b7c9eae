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
  private silence: { readonly leader: number; readonly ticks: number } | undefined;

  constructor(raft: Raft) {
    this.raft = raft;
  }

  /**
   * Whose silence made this member look for another leader, and how many ticks it had lasted then; `undefined` since
   * it follows one again, and where it looked for one for another reason.
   */
  get silenced(): { readonly leader: number; readonly ticks: number } | undefined {
    return this.silence;
  }

  /** Passes on a tick; returns what the core does. */
  tick(): boolean {
    const { leader, electionElapsed, id } = this.raft;
    const due = this.raft.tick();
    if (leader !== 0 && leader !== id && this.raft.leader === 0) {
      this.silence = { leader, ticks: electionElapsed + 1 };
    }
    return due;
  }

  /** Looks at the core after each turn. */
  look(): void {
    const { term, vote, leader, id } = this.raft;
    if (term !== this.knownTerm && vote === id) this.campaigns++;
    this.knownTerm = term;
    if (leader === 0) return;
    if (leader !== id) this.silence = undefined;
    if (leader === this.knownLeader) return;
    this.knownLeader = leader;
    this.leaderChanges++;
  }
}
