import type { Epoch } from '../../base/index.ts';
import { needed } from './cut-planner.ts';
import { RESTORES_ON_REST_FROM } from './feature-level.ts';
import type { InitialMember, LogStreamState } from './log-stream-state.ts';
import { type Refusal, refuse } from './metadata-result.ts';
import type { StorageNodeState } from './storage-nodes.ts';
import type { Acknowledge, TopicState } from './topic-state.ts';

/** A change that is asked for: see the command `setReplicas`. */
interface Change {
  readonly revision: number;
  readonly replicas: readonly number[];
  readonly holders: readonly number[];
}

/** An epoch that is to begin: see the command `unseal`. */
interface Opening {
  readonly revision?: number;
  readonly epoch: Epoch;
  readonly members: readonly number[];
  readonly disks: readonly string[];
}

/**
 * Why the replicas of a log stream may not be changed like that; `undefined`: they may.
 *
 * A record counts when enough members of its epoch have it on disk, so of any number of members that
 * is too large to be the rest, at least one has it. So many of those that the epoch began with must
 * stay until a new epoch has begun, whose members are known to hold everything. One of the replicas
 * that stay must also be up and hold all of it now: the others get it from there.
 */
export function refusalOfChange(
  stream: LogStreamState,
  { acknowledge }: TopicState,
  { revision, replicas, holders }: Change,
  nodes: ReadonlyMap<number, StorageNodeState>,
): Refusal | undefined {
  const { id } = stream;
  if (!stream.sealed) {
    return refuse(
      'FAILED_PRECONDITION',
      `log stream ${id} is running: its replicas cannot be changed`,
      'seal it first, and unseal it afterwards',
    );
  }
  if (revision !== stream.revision) return changedMeanwhile(stream);
  // Nothing was ever ordered in it: there is nothing to lose.
  if (stream.end === 0) return undefined;
  const { initialMembers } = stream;
  const whole = wholeMembers(stream, nodes);
  const staying = whole.filter(({ node }) => replicas.includes(node));
  const least = leastToKeep(stream, acknowledge);
  if (staying.length < least) {
    return refuse(
      'FAILED_PRECONDITION',
      `only ${staying.length} of the ${initialMembers.length} members of epoch ${stream.epoch} of log stream ${id} would stay, and its records may be on none of them`,
      `keep ${least} of ${whole.map(({ node }) => node).join(', ')}, and take away others once it was unsealed with the new ones`,
    );
  }
  const kept = holders.filter((it) => replicas.includes(it) && stream.replicas.includes(it));
  if (kept.length > 0) return undefined;
  return refuse(
    'FAILED_PRECONDITION',
    `none of the replicas of log stream ${id} that would stay is up and holds all ${stream.end} records`,
    holders.length === 0
      ? 'bring back a storage node that has them, and wait until the log stream is sealed there'
      : `keep one of ${holders.join(', ')}`,
  );
}

/** Members that have what they had when the epoch began: one whose disk was given up since has no more than one that is new. */
function wholeMembers(
  { initialMembers, members }: LogStreamState,
  nodes: ReadonlyMap<number, StorageNodeState>,
): InitialMember[] {
  return initialMembers.filter(
    ({ node, disk }) => members.includes(node) && nodes.get(node)?.disk === disk,
  );
}

/** Of so many of the members that the epoch began with, at least one has each record that was ordered. */
function leastToKeep({ initialMembers }: LogStreamState, acknowledge: Acknowledge): number {
  return initialMembers.length - needed(initialMembers.length, acknowledge) + 1;
}

/**
 * Why a log stream of a deleted topic may not come back on those of its storage nodes that are left; `undefined`: it may.
 * Those that were taken out meanwhile held no topic, but had what was kept of this one.
 */
export function refusalOfReturn(
  stream: LogStreamState,
  { id: topicId, acknowledge }: Pick<TopicState, 'id' | 'acknowledge'>,
  nodes: ReadonlyMap<number, StorageNodeState>,
  featureLevel: number,
): Refusal | undefined {
  const { id, replicas, end } = stream;
  const gone = replicas.filter((it) => !nodes.has(it));
  if (gone.length === 0) return undefined;
  const isEnough =
    end === 0
      ? gone.length < replicas.length
      : wholeMembers(stream, nodes).length >= leastToKeep(stream, acknowledge);
  if (isEnough && featureLevel >= RESTORES_ON_REST_FROM) return undefined;
  const rest = isEnough ? '' : ', and its records may be on none of those that are left';
  return refuse(
    'FAILED_PRECONDITION',
    `log stream ${id} of topic ${topicId} was on storage nodes that were taken out since (${gone.join(', ')})${rest}`,
    isEnough
      ? 'upgrade all members and storage nodes: newer versions do without them'
      : 'register them again (AddStorageNode of the cluster manager), and start them with their folders',
  );
}

/**
 * Why the replicas of a log stream that goes on may not be moved like that; `undefined`: they may.
 *
 * A replica that has not been a member since it was given to the log stream may go at any time: nobody relies on it. Any
 * other one goes only after it was told to leave, and once all that stay are members of an open epoch without it, with
 * the disks with which they began: each of them held everything then, and whatever came later needed enough of them.
 */
export function refusalOfMove(
  stream: LogStreamState,
  {
    revision,
    replicas,
    leaving,
  }: Omit<Change, 'holders'> & { readonly leaving: readonly number[] },
  nodes: ReadonlyMap<number, StorageNodeState>,
): Refusal | undefined {
  const { id, replicas: before, replicationFactor, joining, members } = stream;
  if (revision !== stream.revision) return changedMeanwhile(stream);
  const next = 'look at its state again';
  const refuseTo = (what: string): Refusal => refuse('FAILED_PRECONDITION', what, next);
  const drained = replicas.find((it) => !before.includes(it) && nodes.get(it)!.draining);
  if (drained !== undefined) return refuseTo(`storage node ${drained} is being drained`);
  const removed = before.filter((it) => !replicas.includes(it));
  const unused = removed.filter((it) => joining.includes(it));
  const staying = replicas.filter((it) => !leaving.includes(it));
  const least = Math.min(replicationFactor, before.length - unused.length);
  if (leaving.some((it) => !replicas.includes(it)) || staying.length < least) {
    return refuseTo(`${staying.length} replicas of log stream ${id} would stay, and not ${least}`);
  }
  if (removed.length === unused.length) return undefined;
  const early = removed.find((it) => !unused.includes(it) && !stream.leaving.includes(it));
  if (early !== undefined) {
    return refuseTo(
      `the replica of log stream ${id} on storage node ${early} was not told to leave`,
    );
  }
  const isWhole = stream.initialMembers.every(({ node, disk }) => nodes.get(node)?.disk === disk);
  const areMembers = staying.every((it) => members.includes(it));
  const areNone = removed.every((it) => !members.includes(it));
  if (!stream.sealed && isWhole && areMembers && areNone) return undefined;
  return refuseTo(`the records of log stream ${id} are not known to be on all replicas that stay`);
}

/** Why a log stream may not be opened like that; `undefined`: it may. */
export function refusalOfOpening(
  stream: LogStreamState,
  { epoch, members, disks, revision }: Opening,
  nodes: ReadonlyMap<number, StorageNodeState>,
): Refusal | undefined {
  const { id } = stream;
  if (revision !== undefined && revision !== stream.revision) return changedMeanwhile(stream);
  if (!stream.sealed || epoch !== stream.epoch + 1) {
    const state = stream.sealed ? 'sealed' : 'open';
    return refuse(
      'FAILED_PRECONDITION',
      `log stream ${id} is ${state} in epoch ${stream.epoch}, so epoch ${epoch} cannot begin`,
      'look at its state again',
    );
  }
  if (members.length === 0 || members.some((it) => !stream.replicas.includes(it))) {
    return refuse(
      'INVALID_ARGUMENT',
      `${members.join(', ')} are not replicas of log stream ${id}`,
      'choose among its replicas',
    );
  }
  const replaced = members.find((it, i) => nodes.get(it)!.disk !== disks[i]);
  if (replaced === undefined) return undefined;
  return refuse(
    'FAILED_PRECONDITION',
    `storage node ${replaced} has another disk than the one that holds log stream ${id}`,
    'look at its state again',
  );
}

export function changedMeanwhile({ id, changed }: LogStreamState): Refusal {
  return refuse(
    'FAILED_PRECONDITION',
    `log stream ${id} was changed meanwhile: it was ${changed}`,
    'look at its state again',
  );
}
