import { type Configuration, type MemberChange, Raft } from '../../framework/raft/core/index.ts';

type Change = Raft['changeMembers'];

/**
 * Looks at every change of the members that a leader proposes, until what it returns is called: whoever is to vote must have got
 * everything that there was when it became a learner, on a disk that is known, and one step must not take two votes.
 */
export function watchMembers(fail: (error: Error) => void): () => void {
  /** The last entry of the log when a member with this disk became a learner. */
  const learnsFrom = new Map<string, number>();
  const original: Change = Raft.prototype.changeMembers;
  const watched: Change = function (this: Raft, change) {
    const { configuration } = this;
    const last = this.log.last;
    const newVoters = change.voters.filter((it) => !configuration.voters.includes(it));
    const lost = configuration.voters.filter((it) => !change.voters.includes(it));
    const index = original.call(this, change);
    if (typeof index !== 'number') return index;
    for (const id of change.learners) {
      const disk = diskOf(change, id);
      if (!learnsFrom.has(disk)) learnsFrom.set(disk, last);
    }
    if (newVoters.length > 1 || lost.length > 1) {
      fail(new Error(`the votes change from ${configuration.voters} to ${change.voters} at once`));
    }
    for (const id of newVoters) {
      const from = learnsFrom.get(diskOf(change, id)) ?? last;
      const match = this.leadership?.progress.get(id)?.match ?? 0;
      if (match < from) {
        fail(new Error(`member ${id} is to vote with ${match} of ${from} entries`));
      }
    }
    return index;
  };
  Raft.prototype.changeMembers = watched;
  return () => {
    Raft.prototype.changeMembers = original;
  };
}

function diskOf({ incarnations }: MemberChange | Configuration, id: number): string {
  return `${id} ${incarnations.get(id)}`;
}
