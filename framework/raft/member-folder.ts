import { type Disk, VarlogError } from '../base/index.ts';
import { labelOfStateFile } from '../store/index.ts';
import { groupFolderOf, groupsIn, groupsSaid, isHostFolder } from './host-folder.ts';

/** The folder of one member. */
export interface MemberFolder {
  readonly directory: string;
  /** The folder of the host with the journal, where the member is on one. */
  readonly host: string | undefined;
  readonly label: string;
  readonly groupId: string;
  readonly memberId: number;
}

/** Files that say whose the folder is. */
const NAMED = ['members', 'hard-state', 'snapshot'];
/** Where those who open members keep them below the folder that a user names. */
const BELOW = ['', '/raft'];

/** Finds the member in a folder that is not in use, by what its files say. See `inspectMember` for the errors. */
export async function findMemberFolder(options: {
  disk: Disk;
  directory: string;
  groupId?: string | undefined;
}): Promise<MemberFolder> {
  const { disk, directory } = options;
  for (const below of BELOW) {
    const root = `${directory}${below}`;
    const isHosted = await isHostFolder(root, disk);
    const folder = isHosted ? await hostedFolder(root, options) : root;
    const found = await memberIn(folder, isHosted ? root : undefined, disk);
    if (found === undefined) {
      if (isHosted) throw stranger(directory, options.groupId, await groupsIn(root, disk));
      continue;
    }
    if (await disk.isLocked(isHosted ? root : folder)) throw inUse(root);
    const { groupId = found.groupId } = options;
    if (groupId !== found.groupId) throw stranger(directory, groupId, [found.groupId]);
    return found;
  }
  throw stranger(directory, options.groupId);
}

async function hostedFolder(
  root: string,
  { disk, groupId }: { disk: Disk; groupId?: string | undefined },
): Promise<string> {
  if (groupId !== undefined) return groupFolderOf(root, groupId);
  const groups = await groupsIn(root, disk);
  if (groups.length === 1) return groupFolderOf(root, groups[0]!);
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the host in ${root} has members of ${groups.length === 0 ? 'no groups' : `the groups ${groups.join(', ')}`}`,
    next: 'name one of its groups',
    details: { groups },
  });
}

/**
 * The member in a folder, by what its files say; `undefined` where there is none. Rejects with `CORRUPT` where there are
 * files of one and none says of whom.
 */
export async function memberIn(
  directory: string,
  host: string | undefined,
  disk: Disk,
): Promise<MemberFolder | undefined> {
  const names = await disk.list(directory);
  if (!names.some((it) => NAMED.includes(it))) return undefined;
  for (const name of NAMED) {
    const label = await labelOfStateFile(disk, `${directory}/${name}`);
    const [, groupId, id] = /^raft group ([\w-]+) member (\d+)$/.exec(label ?? '') ?? [];
    if (groupId === undefined) continue;
    return { directory, host, label: label!, groupId, memberId: Number(id) };
  }
  const path = disk.pathOf(`${directory}/${NAMED[0]}`);
  throw new VarlogError('CORRUPT', {
    what: `no file in ${disk.pathOf(directory)} says which member it belongs to`,
    because: 'the files are damaged, or another program wrote them',
    next: 'remove this member from the group, and add another one under a new id',
    details: { path, offset: 0 },
  });
}

function inUse(directory: string): VarlogError {
  return new VarlogError('DIRECTORY_IN_USE', {
    what: `the member in ${directory} runs`,
    because: 'what it writes at this moment would look like damage',
    next: 'stop it first, or look at its status',
    details: { directory },
  });
}

function stranger(
  directory: string,
  groupId: string | undefined,
  groups: readonly string[] = [],
): VarlogError {
  const group = groupId === undefined ? 'a Raft group' : `Raft group "${groupId}"`;
  return new VarlogError('NOT_FOUND', {
    what: `folder "${directory}" is not of a member of ${group}`,
    ...(groups.length > 0 && { because: groupsSaid(groups) }),
    next: 'name the folder of a member, or of the host that it is on',
    details: { groups },
  });
}
