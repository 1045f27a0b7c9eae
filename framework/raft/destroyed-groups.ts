import { type Disk, type Handler, handler, VarlogError } from '../base/index.ts';
import { type Journal, jsonFormat, StateFile } from '../store/index.ts';
import { groupFolderOf } from './host-folder.ts';
import { methodsOf, type RaftMethods } from './methods.ts';

/** A group of which this host had a member that was destroyed for good. */
export interface DestroyedGroup {
  readonly groupId: string;
  readonly memberId: number;
  /** Which group that was, of all that had this name. */
  readonly identity: string;
}

const LABEL = 'destroyed raft group';

/**
 * What a host knows of the groups that were destroyed on it. A tombstone is written first, and stays for ever: from
 * then on nobody opens the group there, and whoever calls it is told. Then its files go, again after a crash, until
 * nothing of it is left.
 */
export class DestroyedGroups {
  private readonly disk: Disk;
  private readonly host: string;
  private readonly tombstones = new Map<string, DestroyedGroup>();

  private constructor(disk: Disk, host: string) {
    this.disk = disk;
    this.host = host;
  }

  /** Reads the tombstones of a host. Rejects with `CORRUPT` or `FORMAT_UNKNOWN` for one that cannot be read. */
  static async open(disk: Disk, host: string): Promise<DestroyedGroups> {
    const groups = new DestroyedGroups(disk, host);
    for (const name of await disk.list(groups.directory)) {
      // The remains of a tombstone that was not written to its end are removed with the next one.
      if (name.includes('.')) continue;
      const { value } = await groups.fileOf(name);
      if (value !== undefined) groups.tombstones.set(value.groupId, value);
    }
    return groups;
  }

  get all(): DestroyedGroup[] {
    return [...this.tombstones.values()];
  }

  find(groupId: string): DestroyedGroup | undefined {
    return this.tombstones.get(groupId);
  }

  /** Throws `GROUP_DESTROYED` for a group that has a tombstone. */
  check(groupId: string): void {
    const found = this.tombstones.get(groupId);
    if (found !== undefined) throw groupDestroyed(found);
  }

  /** Writes a tombstone. When it resolves nothing brings the group back; with `DISK_FULL` nothing has changed. */
  async bury(group: DestroyedGroup): Promise<void> {
    await this.disk.makeDirectory(this.directory);
    const file = await this.fileOf(group.groupId);
    await file.write(group);
    this.tombstones.set(group.groupId, group);
  }

  /** Frees what is left of a group that has a tombstone, and is not open, also in the host's journal. Does no harm where nothing is. */
  async clear({ groupId, memberId }: DestroyedGroup, journal: Journal): Promise<void> {
    const { disk, host } = this;
    await disk.remove(groupFolderOf(host, groupId));
    await disk.syncDirectory(`${host}/groups`);
    const label = `raft group ${groupId} member ${memberId} entries`;
    if (!journal.labels.includes(label)) return;
    const log = await journal.open(label);
    try {
      if (log.value !== undefined || log.first <= log.end) await log.clear();
    } finally {
      await log.close();
    }
  }

  private get directory(): string {
    return `${this.host}/destroyed`;
  }

  private fileOf(groupId: string): Promise<StateFile<DestroyedGroup>> {
    const path = `${this.directory}/${groupId}`;
    return StateFile.open(this.disk, path, LABEL, jsonFormat<DestroyedGroup>());
  }
}

/** Tells whoever calls a destroyed group, by each of its methods. */
export function tombstoneHandlers(group: DestroyedGroup): Handler[] {
  const methods: RaftMethods = methodsOf(group.groupId);
  const refuse = async (): Promise<never> => {
    throw groupDestroyed(group);
  };
  return [
    handler(methods.exchange, refuse),
    handler(methods.propose, refuse),
    handler(methods.tail, refuse),
    handler(methods.meet, refuse),
    handler(methods.change, refuse),
    handler(methods.snapshot, refuse),
  ];
}

/** The error for whoever opens or calls a group that was destroyed where it looks for it. */
export function groupDestroyed({ groupId, memberId, identity }: DestroyedGroup): VarlogError {
  return new VarlogError('GROUP_DESTROYED', {
    what: `member ${memberId} of Raft group "${groupId}" with the identity ${identity} was destroyed for good on this host`,
    because: 'somebody ordered it, by the identity of the group',
    next: 'destroy its other members too, or remove this one from the group; give a new group another id',
    details: { groupId, identity },
  });
}
