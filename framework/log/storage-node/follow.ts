import type { Step } from '../core/index.ts';
import { Fetcher } from './fetcher.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * Starts, keeps and ends the fetching that the core wants.
 *
 * - From the call on, nothing that is not wanted any more MAY be stored.
 * - What is wanted as before MUST go on as it is, unless the source is to be asked anew.
 */
export function follow(replica: LogStreamReplica, kind: Step['kind']): void {
  const { assignment, peers, following } = replica;
  noteCatchingUp(replica, kind === 'fetchCommitted' && peers.length > 0);
  if (assignment === undefined || (kind !== 'followPrimary' && kind !== 'fetchCommitted')) {
    following.fetching?.stop();
    following.fetching = undefined;
    return;
  }
  const uncommitted = kind === 'followPrimary';
  const sources = (uncommitted ? peers.slice(0, 1) : peers).map((it) => it.address);
  const { epoch, sealed } = assignment;
  const purpose = `${kind} ${epoch} ${sealed} ${sources} ${following.round}`;
  if (following.fetching?.purpose === purpose) return;
  following.fetching?.stop();
  // A sealed log stream waits for it; otherwise what is served meanwhile comes first.
  const throttled = !uncommitted && !sealed;
  following.fetching = new Fetcher(replica, { purpose, sources, uncommitted, throttled });
}

function noteCatchingUp(replica: LogStreamReplica, goesOn: boolean): void {
  const { following, core, assignment, logStreamId: logStream } = replica;
  if (goesOn === (following.catchingUpFrom !== undefined)) return;
  const { logger } = replica.host.ports;
  const isWhole = core.committedEnd >= (assignment?.end ?? 0);
  const facts = { logStream, end: core.end, of: assignment?.end ?? 0 };
  if (goesOn) {
    following.catchingUpFrom = core.end;
    logger.log('info', 'a replica begins to catch up', facts);
  } else {
    const records = core.end - following.catchingUpFrom!;
    const what = isWhole ? 'a replica has caught up' : 'a replica catches up no further';
    following.catchingUpFrom = undefined;
    logger.log('info', what, { ...facts, records });
  }
}
