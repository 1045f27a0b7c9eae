import { type Clock, checkNames, type Disk, type OptionNames, VarlogError } from '../base/index.ts';
import { ReadOnlyDisk } from '../store/index.ts';
import { type DestroyedGroup, DestroyedGroups } from './destroyed-groups.ts';
import { diskFactsIn } from './disk-identity.ts';
import { otherGroup } from './handshake-errors.ts';
import { groupFolderOf, groupsIn, groupsSaid, isHostFolder, openJournalOf } from './host-folder.ts';
import { findMemberFolder, memberIn } from './member-folder.ts';
import { methodsOf } from './methods.ts';

/** Which member is to be destroyed. */
export interface DestroyOptions {
  readonly ports: { readonly disk: Disk; readonly clock: Clock };
  /** The folder of its host, as it was given to open it; it may not be in use. */
  readonly directory: string;
  readonly groupId: string;
  /** That of the group, as `group.identity()` and `inspectMember` tell it. Without it nothing is changed. */
  readonly identity?: string | undefined;
}

const NAMES: OptionNames<DestroyOptions> = {
  ports: true,
  directory: true,
  groupId: true,
  identity: true,
};

/** A member that was destroyed, or that would be. */
export interface DestroyReport extends DestroyedGroup {
  /** Whether it is gone for good: now, or since before. */
  readonly destroyed: boolean;
}

/**
 * What `RaftHost.destroyGroup` does, on a host that does not run: destroys its member of a group for good. Rejects with
 * `CLUSTER_MISMATCH` where the member is of a group with another identity, `NOT_FOUND` where the host has no member of the
 * group, `DIRECTORY_IN_USE` where the host runs, and `FAILED_PRECONDITION` for a member that is on no host, or does not
 * know its group yet.
 */
export async function destroyStoppedMember(options: DestroyOptions): Promise<DestroyReport> {
  checkNames(options, NAMES, 'destroyStoppedMember');
  const { ports, directory, groupId, identity } = options;
  const { disk } = ports;
  methodsOf(groupId);
  const host = await hostFolderIn(directory, disk);
  if (host === undefined) throw await onNoHost(options);
  const lock = await disk.lock(host);
  try {
    if (identity === undefined) {
      // What interrupted writes left stays as it is.
      const { group, isBuried } = await find(groupId, host, new ReadOnlyDisk(disk));
      return { ...group, destroyed: isBuried };
    }
    const { graves, group, isBuried } = await find(groupId, host, disk);
    checkIdentity(group, identity);
    const journal = await openJournalOf(host, ports);
    try {
      if (!isBuried) await graves.bury(group);
      await graves.clear(group, journal);
      return { ...group, destroyed: true };
    } finally {
      await journal.close();
    }
  } finally {
    await lock.release();
  }
}

/** What a host that does not run has of a group, or had. */
async function find(
  groupId: string,
  host: string,
  disk: Disk,
): Promise<{ graves: DestroyedGroups; group: DestroyedGroup; isBuried: boolean }> {
  const graves = await DestroyedGroups.open(disk, host);
  const known = graves.find(groupId);
  const group = known ?? (await memberToDestroy(groupId, host, disk));
  return { graves, group, isBuried: known !== undefined };
}

/** Throws `CLUSTER_MISMATCH` where an order to destroy is about a group with another identity. */
export function checkIdentity(group: DestroyedGroup, identity: string): void {
  if (group.identity === identity) return;
  throw otherGroup(group.groupId, group.identity, identity, 'notAppended');
}

/**
 * What a host has of a group, by what its folder says.
 *
 * @param running the identity as a member that runs knows it: its disk may know it later
 */
export async function memberToDestroy(
  groupId: string,
  host: string,
  disk: Disk,
  running?: string,
): Promise<DestroyedGroup> {
  const found = await memberIn(groupFolderOf(host, groupId), host, disk);
  if (found === undefined) {
    const groups = await groupsIn(host, disk);
    throw new VarlogError('NOT_FOUND', {
      what: `this host has no member of Raft group "${groupId}"`,
      because: groupsSaid(groups),
      next: 'name one of these, or ask the host that has it',
      details: { groups },
      outcome: 'notAppended',
    });
  }
  const { directory, label, memberId } = found;
  const identity = running ?? (await diskFactsIn(disk, directory, label))?.identity ?? '';
  if (identity === '') {
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `member ${memberId} of Raft group "${groupId}" does not know the identity of its group yet`,
      next: 'wait until the group has begun, and destroy it by its identity then',
      outcome: 'notAppended',
    });
  }
  return { groupId, memberId, identity };
}

async function hostFolderIn(directory: string, disk: Disk): Promise<string | undefined> {
  // What opens hosts on real ports keeps them in a folder of that name.
  for (const root of [directory, `${directory}/raft`])
    if (await isHostFolder(root, disk)) return root;
  return undefined;
}

async function onNoHost({
  ports: { disk },
  directory,
  groupId,
}: DestroyOptions): Promise<VarlogError> {
  const { memberId } = await findMemberFolder({ disk, directory, groupId });
  return new VarlogError('FAILED_PRECONDITION', {
    what: `member ${memberId} of Raft group "${groupId}" in "${directory}" is on no host: its folder is all there is of it`,
    next: 'remove the member from its group, or stop all of its members; then the folder may be deleted',
    outcome: 'notAppended',
  });
}
