import { replicaExtent } from '../../framework/log/client/replica-extent.ts';
import { Subscription } from '../../framework/log/client/subscription.ts';
import { CommitInbox } from '../../framework/log/storage-node/commit-inbox.ts';
import { Leadership } from '../../framework/raft/core/leader.ts';
import { RAFT_TIMES } from '../../framework/raft/timing.ts';
import { redefine } from '../../framework/testing/simulator/redefine.ts';
import type { PlantedDefect } from './planted-defect.ts';

/** What the methods that are replaced see of their object. */
interface LeadershipInside {
  readonly raft: { confirmReads(reads: object[]): void; readonly log: { readonly commit: number } };
  mayRead(): boolean;
}
interface SubscriptionInside {
  readonly source: Parameters<typeof replicaExtent>[0];
  readonly ending: AbortController;
}

/** Ways to miss what was acknowledged: each breaks reads for everybody until what it returns is called. */
export const READ_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'a leader answers without looking at its lease': () =>
    redefine(Leadership.prototype, 'read', {
      value(this: LeadershipInside, context: number) {
        this.raft.confirmReads([{ context, index: this.raft.log.commit }]);
      },
    }),
  'a lease lasts longer than it takes to elect another leader': () => {
    const { leaseShare } = RAFT_TIMES;
    RAFT_TIMES.leaseShare = 10;
    return () => {
      RAFT_TIMES.leaseShare = leaseShare;
    };
  },
  'a replica that lags is read from without waiting for it': () =>
    redefine(Subscription.prototype, 'firstExtent', {
      value(this: SubscriptionInside) {
        return replicaExtent(this.source, 0, { signal: this.ending.signal });
      },
    }),
  'a replica vouches for commits that it misses': () =>
    redefine(CommitInbox.prototype, 'isComplete', { get: () => true }),
};
