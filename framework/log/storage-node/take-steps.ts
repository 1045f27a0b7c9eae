import { lostWithItsBase, type Step } from '../core/index.ts';
import { follow } from './follow.ts';
import { savedOrFull } from './full-disk.ts';
import type { LogStreamReplica } from './replica.ts';
import { appendUnknown, sealedBefore } from './replica-errors.ts';
import { dropHead } from './trim.ts';

/**
 * Seals and takes over epochs: carries out, one after the other, what the core asks for, and sees to what lasts.
 *
 * - A cut and an adoption MUST be durable before the core is asked for the next step.
 * - Appends that a seal leaves out MUST be refused, `notAppended`; of those that are cut off it is not known.
 * - What is missing MAY be fetched while this goes on, and is, until the core wants it no longer.
 */
export async function takeSteps(replica: LogStreamReplica): Promise<void> {
  const { core } = replica;
  for (;;) {
    if (replica.closed) return;
    const step = core.next();
    follow(replica, step.kind);
    if (!core.isPrimary && replica.parked.size > 0) {
      replica.parked.failAll(sealedBefore(replica.logStreamId));
    }
    if (replica.assignment?.sealed === true) failUnordered(replica, replica.assignment.end);
    if (step.kind === 'truncate') await cut(replica, step.end);
    else if (step.kind !== 'adopt' || !(await adopt(replica, step))) break;
  }
  // Also what an earlier life of this process had noted and not come to.
  const wanted = replica.assignment?.trimmedGlsn ?? 0;
  await dropHead(replica, Math.max(wanted, replica.head.trimmed));
  replica.host.reportChanged(replica);
}

/** The log stream was sealed at LLSN `end`: what waits beyond it certainly does not appear. */
function failUnordered({ pending, logStreamId }: LogStreamReplica, end: number): void {
  const lost = (restsOn: number) => lostWithItsBase(logStreamId, restsOn, end);
  pending.failBehind(end, sealedBefore(logStreamId), lost);
}

async function cut(replica: LogStreamReplica, end: number): Promise<void> {
  const cutting = replica.storage.records.truncateTail(end);
  // In the same breath: a commit that comes meanwhile must not find what is being cut off.
  replica.core.wasTruncated(end);
  replica.inbox.clear();
  replica.storage.producers.cut(end);
  replica.storage.parts.cut(end);
  // Other records take the place of these, or the same ones again: that is not known here.
  const what = `log stream ${replica.logStreamId} went on without this replica`;
  replica.pending.failBehind(end, appendUnknown(what));
  await cutting;
}

/** Takes over an epoch durably. False: there is no room for that now. */
async function adopt(
  replica: LogStreamReplica,
  { epoch, sealed }: Extract<Step, { kind: 'adopt' }>,
): Promise<boolean> {
  if (!(await replica.storage.flushCommits())) return false;
  if (!(await savedOrFull(replica, { epoch, sealed }))) return false;
  replica.core.hasAdopted(epoch, sealed);
  replica.roleChanged();
  return true;
}
