import { StorageNodeLink } from '../../framework/log/metadata-repository/storage-node-link.ts';
import { PendingAppends } from '../../framework/log/storage-node/pending-appends.ts';
import { RepositoryLink } from '../../framework/log/storage-node/repository-link.ts';
import { TimeLeft } from '../../framework/log/time-left.ts';
import { redefine } from '../../framework/testing/simulator/redefine.ts';
import type { SessionResponse } from '../../framework/wire/gen/log.ts';
import type { PlantedDefect } from './planted-defect.ts';

interface LinkInside {
  lastHeard: number;
  wireMs: number;
}

const { written } = PendingAppends.prototype;
const { commit } = StorageNodeLink.prototype;

/** Ways to say something wrong of where the time went: each does so for everybody until what it returns is called. */
export const RECEIPT_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'what one part was given is given to another one too': () =>
    redefine(TimeLeft.prototype, 'take', { value: (ms: number) => Math.max(0, ms) }),
  'the time at the leader counts as time on the wire': () =>
    redefine(RepositoryLink.prototype, 'measure', {
      value(this: LinkInside, { lastSentAt }: SessionResponse) {
        if (lastSentAt > 0) this.wireMs = this.lastHeard - lastSentAt / 1_000;
      },
    }),
  'a time of the leader’s clock is compared with one of the node’s': () =>
    redefine(RepositoryLink.prototype, 'measure', {
      value(this: LinkInside, { held }: SessionResponse) {
        this.wireMs = this.lastHeard - held / 1_000;
      },
    }),
  'a write counts from its end': () =>
    redefine(PendingAppends.prototype, 'written', {
      value(this: PendingAppends, write: Parameters<typeof written>[0]) {
        written.call(this, { ...write, begunAt: write.doneAt });
      },
    }),
  'the leader does not say how long Raft took': () =>
    redefine(StorageNodeLink.prototype, 'commit', {
      value(this: StorageNodeLink, it: Parameters<typeof commit>[0]) {
        commit.call(this, it);
      },
    }),
};
