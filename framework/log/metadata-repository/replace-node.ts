import { sleep, VarlogError } from '../../base/index.ts';
import { type ReplaceStorageNodeRequest, ReplaceStorageNodeResponse } from '../../wire/gen/log.ts';
import { lastCopiesOn } from '../core/index.ts';
import { placementView } from './placement-view.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** A leader of just now has not heard of all replicas: it waits so long for a copy before it says that there is none. */
const WAIT_MS = 500;
const LOOK_MS = 50;
/** So many log streams are named: with a node of a cluster without copies it may be thousands. */
const NAMED_MAX = 5;

/** Gives up the disk of a storage node; without force, only where nothing is lost with it as far as is known. */
export async function replaceNode(
  repository: RepositoryAccess,
  { storageNodeId: id, disk, force }: ReplaceStorageNodeRequest,
): Promise<ReplaceStorageNodeResponse> {
  const orderer = await repository.confirmedOrderer();
  const isItsOwn = repository.metadata.storageNodes.get(id)?.disk === disk;
  if (!force && !isItsOwn) {
    if (orderer.processOf(id) !== '') throw isUp(id);
    await refuseLastCopies(repository, id);
  }
  await repository.execute({ kind: 'replaceStorageNode', id, disk });
  return ReplaceStorageNodeResponse.create({});
}

/** Throws `FAILED_PRECONDITION` where the node has the only copy of something that was ordered. */
async function refuseLastCopies(repository: RepositoryAccess, id: number): Promise<void> {
  const { clock } = repository.options.ports;
  for (const until = clock.now() + WAIT_MS; ; await sleep(clock, LOOK_MS)) {
    const orderer = await repository.confirmedOrderer();
    const found = lastCopiesOn(id, placementView(repository.metadata, orderer));
    if (found.length === 0) return;
    if (clock.now() >= until) throw lastCopies(id, found);
  }
}

function lastCopies(id: number, streams: readonly { id: number }[]): VarlogError {
  const named = streams.slice(0, NAMED_MAX).map((it) => it.id);
  const more = streams.length > named.length ? ` and ${streams.length - named.length} more` : '';
  const which = `log stream${streams.length === 1 ? '' : 's'} ${named.join(', ')}${more}`;
  return new VarlogError('FAILED_PRECONDITION', {
    what: `storage node ${id} may have the only whole copy of ${which}`,
    because: 'no other replica that is up has all of the records, and they are lost with the disk',
    next: 'start the node with its folder, or the other storage nodes; if the disk is lost for good, and nobody else can have the records, force it',
    outcome: 'notAppended',
  });
}

function isUp(id: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `storage node ${id} is up, with the disk that it has`,
    because: 'a disk that was given up is never taken again, with all that only it holds',
    next: 'check the id; if that disk is to go, stop the node first, or force it',
    outcome: 'notAppended',
  });
}
