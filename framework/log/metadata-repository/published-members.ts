import { isTcpAddress, VarlogError } from '../../base/index.ts';
import { MetadataRepositoryNode } from '../../wire/gen/varlogpb.ts';
import { checkIds } from '../published-ids.ts';
import { memberOfNodeId, publishedNodeId } from './published-node-id.ts';
import type { KnownMember, RepositoryAccess } from './repository-access.ts';

/** Ids that clients compute are above this one; those of our own members are not. */
const OWN_ID_MAX = 2 ** 31 - 1;

/** Whom the published interface asks to add: by the URL, and where it is given by the id that belongs to it. */
interface Asked {
  readonly url: string;
  /** Computed from the URL, or the member's own one. Without: whoever answers at the URL. */
  readonly nodeId?: number;
}

/**
 * Adds a member as the published interface names it, by its URL: its own id is asked for there. At the leader. Rejects
 * with `INVALID_ARGUMENT` for a URL or an id that names nobody, with `ALREADY_EXISTS` for one that votes already, and as
 * {@link MembersChanger.change} does.
 */
export async function addPublished(
  repository: RepositoryAccess,
  { url, nodeId }: Asked,
  signal: AbortSignal,
): Promise<KnownMember> {
  const address = memberAddress(url);
  const isOwnId = nodeId !== undefined && isOwn(nodeId, address);
  const votes = at(repository, address)?.learner === false;
  if (votes) {
    throw new VarlogError('ALREADY_EXISTS', {
      what: `the metadata repository has a member at ${address} already`,
      next: 'list its members',
      outcome: 'notAppended',
    });
  }
  const order = isOwnId
    ? ({ kind: 'add', member: { id: nodeId, address } } as const)
    : ({ kind: 'addAt', address } as const);
  await repository.memberChanges.change(order, { signal });
  const added = at(repository, address);
  if (added !== undefined) return added;
  throw new VarlogError('NOT_FOUND', {
    what: `the member at ${address} was added, and removed again meanwhile`,
    next: 'list the members',
  });
}

/** Removes the member that the published interface knows by an id. At the leader. Rejects with `NOT_FOUND` for nobody. */
export async function removePublished(
  repository: RepositoryAccess,
  nodeId: number,
  signal: AbortSignal,
): Promise<void> {
  checkIds({ node: nodeId });
  const member = memberOfNodeId(repository.members, nodeId);
  if (member === undefined) throw noMember(`with the node id ${BigInt(nodeId)}`);
  await repository.memberChanges.change({ kind: 'remove', id: member.id }, { signal });
}

/** The same for the member at a URL. */
export async function removePublishedAt(
  repository: RepositoryAccess,
  url: string,
  signal: AbortSignal,
): Promise<void> {
  const address = memberAddress(url);
  const member = at(repository, address);
  if (member === undefined) throw noMember(`at ${address}`);
  await repository.memberChanges.change({ kind: 'remove', id: member.id }, { signal });
}

/** The member that is found by an id. Throws `INVALID_ARGUMENT` and `NOT_FOUND`. */
export function publishedMember({ members }: RepositoryAccess, nodeId: number): KnownMember {
  checkIds({ node: nodeId });
  const member = memberOfNodeId(members, nodeId);
  if (member === undefined) throw noMember(`with the node id ${BigInt(nodeId)}`);
  return member;
}

/** A member as the published interface tells of it. */
export function describeMember(
  { status }: RepositoryAccess,
  member: KnownMember,
): MetadataRepositoryNode {
  return MetadataRepositoryNode.create({
    nodeId: publishedNodeId(member),
    raftUrl: `http://${member.address}`,
    rpcAddr: member.address,
    leader: status.leader?.id === member.id,
    learner: member.learner,
  });
}

/**
 * Throws `INVALID_ARGUMENT` where the two addresses that the published interface gives a member are not the same: here
 * it has one for everything. An empty `rpcAddr` says nothing.
 */
export function checkOneAddress(raftUrl: string, rpcAddr: string): void {
  const address = memberAddress(raftUrl);
  if (rpcAddr === '' || memberAddress(rpcAddr) === address) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `a member has one address for everything, and not ${address} beside ${rpcAddr}`,
    next: 'give the address at which the others reach it (--advertise) as raft_url and as rpc_addr',
    outcome: 'notAppended',
  });
}

/** Whether an id is a member's own one, and not that which belongs to its address. Throws where it is neither. */
function isOwn(nodeId: number, address: string): boolean {
  checkIds({ node: nodeId });
  const computed = publishedNodeId({ id: 0, address });
  if (nodeId === computed) return false;
  if (nodeId <= OWN_ID_MAX) return true;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the node id ${BigInt(nodeId)} is not that of ${address}`,
    because:
      computed === 0
        ? 'it is computed from an IPv4 address, which is not there'
        : `that is ${BigInt(computed)}`,
    next: 'compute it from the URL of the same member, or give the id with which the member was started',
    outcome: 'notAppended',
  });
}

function at({ members }: RepositoryAccess, address: string): KnownMember | undefined {
  return members.find((it) => it.address === address);
}

/** Of the URL of a member only the address counts; it may also be the address alone. */
function memberAddress(url: string): string {
  const address = url.replace(/^https?:\/\//, '').replace(/\/$/, '');
  if (isTcpAddress(address)) return address;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `raft address: invalid argument: "${url}" is no URL of a member`,
    next: 'give it as http://host:port',
    outcome: 'notAppended',
  });
}

function noMember(how: string): VarlogError {
  return new VarlogError('NOT_FOUND', {
    what: `the metadata repository has no member ${how}`,
    next: 'list its members; one that is gone may have been removed already',
    outcome: 'notAppended',
  });
}
