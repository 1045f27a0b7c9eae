import type { Clock, Disk } from '../base/index.ts';
import { Journal } from '../store/index.ts';

/** The journal of all groups, in the folder of their host. */
export const JOURNAL = 'journal';
const GROUPS = 'groups';
const REPLACE_MEMBERS =
  'put the whole folder of the host back as it was last; or replace its members by new ones on an empty folder';

/** Where a host keeps what is a group's own, beside the journal of all of them. */
export function groupFolderOf(host: string, groupId: string): string {
  return `${host}/${GROUPS}/${groupId}`;
}

/** The groups of which a host's folder has something. */
export function groupsIn(host: string, disk: Disk): Promise<string[]> {
  return disk.list(`${host}/${GROUPS}`);
}

/** What errors about a group that is not there say of those that are. */
export function groupsSaid(groups: readonly string[]): string {
  return groups.length === 0 ? 'it has no groups' : `it has: ${groups.join(', ')}`;
}

/** Opens the journal of a host's folder, which the caller has locked. */
export async function openJournalOf(
  host: string,
  { disk, clock }: { disk: Disk; clock: Clock },
): Promise<Journal> {
  const label = 'journal of a raft host';
  const directory = `${host}/${JOURNAL}`;
  // By it the folder is known to be a host's.
  await disk.makeDirectory(directory);
  return Journal.open({ disk, clock, directory, label, remedy: REPLACE_MEMBERS });
}

/** Whether a folder belongs to a host of groups. */
export async function isHostFolder(directory: string, disk: Disk): Promise<boolean> {
  return (await disk.list(directory)).includes(JOURNAL);
}
