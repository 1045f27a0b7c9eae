import { Leadership } from '../../framework/raft/core/leader.ts';
import { DiskIdentity } from '../../framework/raft/disk-identity.ts';
import { Handshake } from '../../framework/raft/handshake.ts';
import { Membership } from '../../framework/raft/membership.ts';
import { ObservedDurability } from '../../framework/raft/observed-durability.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

interface Counting {
  advanceCommit(): void;
}

/** Ways to change members wrongly, each in one place; what they return mends it. */
export const MEMBER_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'a learner votes before it has caught up': () => {
    const prototype = Membership.prototype as unknown as { caughtUp(): Promise<void> };
    return replace(prototype, 'caughtUp', async () => {});
  },
  'a removed member is still counted': () => {
    const prototype = Leadership.prototype as unknown as Counting;
    const { advanceCommit } = prototype;
    return replace(prototype, 'advanceCommit', function (this: Leadership) {
      const { configuration, log } = this['raft'];
      const counted = [...configuration.voters, ...configuration.retired];
      const reached = counted.filter((it) => (this.progress.get(it)?.match ?? 0) > log.commit);
      if (reached.length > counted.length >> 1) advanceCommit.call(this as unknown as Counting);
    });
  },
  'a member with an emptied disk is taken for itself': () => {
    // Three checks stand in its way.
    const undone = [
      replace(DiskIdentity.prototype, 'incarnationOf', () => undefined),
      replace(ObservedDurability.prototype, 'isConsistentWith', () => true),
      replace(Handshake.prototype, 'hasRolledBack', () => false),
      replace(Handshake.prototype, 'review', function (this: Handshake) {
        const { raft } = this['context'];
        if (raft.log.configurationIndex > 0) raft.disqualified = false;
      }),
    ];
    return () => {
      for (const undo of undone) undo();
    };
  },
};
