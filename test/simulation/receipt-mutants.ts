import { StorageNodeLink } from '../../framework/log/metadata-repository/storage-node-link.ts';
import { PendingAppends } from '../../framework/log/storage-node/pending-appends.ts';
import { RepositoryLink } from '../../framework/log/storage-node/repository-link.ts';
import { TimeLeft } from '../../framework/log/time-left.ts';
import type { SessionResponse } from '../../framework/wire/gen/log.ts';

/** Replaces a method of all objects of a class until what is returned is called. */
function replace(of: object, name: string, by: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(of, name)!;
  Object.defineProperty(of, name, { configurable: true, value: by });
  return () => {
    Object.defineProperty(of, name, before);
  };
}

interface LinkInside {
  lastHeard: number;
  wireMs: number;
}

const { written } = PendingAppends.prototype;
const { commit } = StorageNodeLink.prototype;

/** Ways to say something wrong of where the time went: each does so for everybody until what it returns is called. */
export const RECEIPT_MUTANTS: Readonly<Record<string, () => () => void>> = {
  'what one part was given is given to another one too': () =>
    replace(TimeLeft.prototype, 'take', (ms: number) => Math.max(0, ms)),
  'the time at the leader counts as time on the wire': () =>
    replace(
      RepositoryLink.prototype,
      'measure',
      function (this: LinkInside, { lastSentAt }: SessionResponse) {
        if (lastSentAt > 0) this.wireMs = this.lastHeard - lastSentAt / 1_000;
      },
    ),
  'a time of the leader’s clock is compared with one of the node’s': () =>
    replace(
      RepositoryLink.prototype,
      'measure',
      function (this: LinkInside, { held }: SessionResponse) {
        this.wireMs = this.lastHeard - held / 1_000;
      },
    ),
  'a write counts from its end': () =>
    replace(
      PendingAppends.prototype,
      'written',
      function (this: PendingAppends, write: Parameters<typeof written>[0]) {
        written.call(this, { ...write, begunAt: write.doneAt });
      },
    ),
  'the leader does not say how long Raft took': () =>
    replace(
      StorageNodeLink.prototype,
      'commit',
      function (this: StorageNodeLink, it: Parameters<typeof commit>[0]) {
        commit.call(this, it);
      },
    ),
};
