import {
  asVarlogError,
  type Clock,
  checkFlag,
  checkNames,
  type OptionNames,
  type Ports,
  sleep,
  VarlogError,
} from '../base/index.ts';
import type { Journal } from '../store/index.ts';
import { type Configuration, encodeConfiguration, membersOf } from './core/index.ts';
import { DiskIdentity } from './disk-identity.ts';
import { groupFolderOf, groupsIn, groupsSaid, isHostFolder, openJournalOf } from './host-folder.ts';
import { inspectMember } from './inspect.ts';
import type { Member } from './member.ts';
import { methodsOf } from './methods.ts';
import { RaftStorage } from './storage.ts';

/** Which group to go on with, and which member. */
export interface RestoreOptions {
  readonly ports: Ports;
  readonly groupId: string;
  /** The member that is left, and the address at which it will listen. */
  readonly member: Member;
  /** Its folder, or that of the {@link RaftHost} it is on, as it was given to open them; neither may be in use. */
  readonly directory: string;
  /** Only tell what would be kept; change nothing. Default false. */
  readonly dryRun?: boolean;
}

const NAMES: OptionNames<RestoreOptions> = {
  ports: true,
  directory: true,
  groupId: true,
  member: true,
  dryRun: true,
};

/** What became of a group that was restored from one member. */
export interface Restored {
  /** Everything up to this index is kept, also what had never been acknowledged. */
  readonly keptUpTo: number;
  /** The term of the last of these entries: a later one may have been lost with the other members. */
  readonly lastTerm: number;
  /** Who belonged to the group before, as far as this member knew. */
  readonly membersBefore: readonly number[];
}

/** So often it is seen whether the disk has room for what is being written. */
const LOOK_MS = 100;

const NOBODY: Configuration = {
  identity: '',
  retired: [],
  voters: [],
  outgoing: [],
  learners: [],
  addresses: new Map(),
  incarnations: new Map(),
};

/**
 * Goes on with one member after a majority of a group is lost for good: makes it the only one of a new
 * generation of the group, to which others are added then. This is the one operation that may lose what
 * was acknowledged: whatever a majority had without this member. So take the member with the largest
 * last term, and among those the one with the most entries. Members of before are refused by the restored group, and
 * refuse it. Rejects with `FAILED_PRECONDITION` for a member that never belonged to the group, with
 * `DIRECTORY_IN_USE` for one that runs, with `CORRUPT` for one that is damaged, and with `DISK_FULL` where there is no
 * room: it may be partly restored then, and MUST be restored again before it is started.
 */
export async function restoreLostMajority(options: RestoreOptions): Promise<Restored> {
  // A misspelt `dryRun` would be a restore.
  checkNames(options, NAMES, 'restoreLostMajority');
  const { groupId, directory } = options;
  const { disk } = options.ports;
  // The text "false" would be taken for a look that changes nothing.
  checkFlag(options.dryRun, 'dryRun');
  methodsOf(groupId);
  if (options.dryRun) return wouldBeRestored(options);
  // What opens members on real ports keeps them in a folder of that name.
  let others: readonly string[] = [];
  for (const root of [directory, `${directory}/raft`]) {
    const isHosted = await isHostFolder(root, disk);
    const folder = isHosted ? groupFolderOf(root, groupId) : root;
    // Before anything is opened, which would make files where there are none.
    if (!(await DiskIdentity.existsIn(folder, disk))) {
      if (isHosted) others = await groupsIn(root, disk);
      continue;
    }
    return isHosted ? restoreOnHost(root, folder, options) : restoreIn(folder, options);
  }
  throw stranger(options, others);
}

async function restoreOnHost(
  root: string,
  folder: string,
  options: RestoreOptions,
): Promise<Restored> {
  const { ports } = options;
  const lock = await ports.disk.lock(root);
  try {
    const journal = await openJournalOf(root, ports);
    try {
      return await restoreIn(folder, options, journal);
    } finally {
      await journal.close();
    }
  } finally {
    await lock.release();
  }
}

/** Restores the member of one folder, whose entries are in a journal or in the folder itself. */
async function restoreIn(
  directory: string,
  options: RestoreOptions,
  journal?: Journal,
): Promise<Restored> {
  const { ports, groupId, member } = options;
  const { id, address } = member;
  const { disk, clock, random } = ports;
  const label = `raft group ${groupId} member ${id}`;
  let fail: (error: VarlogError) => void = () => {};
  const onFailure = (error: VarlogError) => fail(error);
  const storage = await RaftStorage.open({ disk, clock, directory, label, onFailure, journal });
  try {
    const { last, runs, snapshotTerm, configurations } = await storage.shape(NOBODY);
    const before = configurations.at(-1)!.configuration;
    if (!membersOf(before).has(id)) throw stranger(options);
    const lastTerm = runs.at(-1)?.term ?? snapshotTerm;
    const restored = { keptUpTo: last, lastTerm, membersBefore: [...membersOf(before)] };
    const diskIdentity = await DiskIdentity.open({ disk, random, directory, label });
    // First: a member that was only begun to be restored must not talk to the others any more.
    await diskIdentity.enterGeneration(random.id());
    const term = Math.max(storage.hardState.term, lastTerm) + 1;
    const alone: Configuration = {
      ...NOBODY,
      identity: diskIdentity.identity || before.identity,
      retired: [...before.retired, ...membersOf(before)].filter((it) => it !== id),
      voters: [id],
      addresses: new Map([[id, address]]),
      incarnations: new Map([[id, diskIdentity.incarnation]]),
    };
    const payload = encodeConfiguration(alone);
    const written = new Promise<void>((resolve, reject) => {
      fail = (error) => reject(asVarlogError(error));
      storage.onPersisted(() => resolve());
      storage.write({
        sequence: 1,
        hardState: { term, vote: id },
        snapshot: undefined,
        truncateTo: undefined,
        batches: [{ index: last + 1, term, count: 1, payload }],
      });
    });
    await unlessNoRoom(storage, clock, written);
    return restored;
  } finally {
    await storage.close();
  }
}

/** A member that runs waits for room: here somebody waits for an answer. */
async function unlessNoRoom(
  storage: RaftStorage,
  clock: Clock,
  written: Promise<void>,
): Promise<void> {
  const done = written.then(() => true);
  while (!(await Promise.race([done, sleep(clock, LOOK_MS).then(() => false)]))) {
    if (storage.full === undefined) continue;
    throw new VarlogError('DISK_FULL', {
      what: 'the disk has no room for what makes the member a group of its own',
      next: 'make room, and restore it again',
    });
  }
}

/** The same without a change: what opening the member would repair is read as if it were repaired. */
async function wouldBeRestored(options: RestoreOptions): Promise<Restored> {
  const { groupId, directory, ports, member } = options;
  /** Where entries of another term begin. */
  const runs: { index: number; term: number }[] = [];
  const found = await inspectMember({ disk: ports.disk, directory, groupId }, (entry) => {
    if (runs.at(-1)?.term !== entry.term) runs.push(entry);
  }).catch((error: unknown) => {
    if (!VarlogError.is(error, 'NOT_FOUND')) throw error;
    throw stranger(options, error.details['groups'] as readonly string[] | undefined);
  });
  const [damage] = found.damage;
  if (damage !== undefined) {
    const { code, path, message } = damage;
    throw new VarlogError(code, {
      what: `member ${member.id} of Raft group "${groupId}" cannot be restored as it is`,
      because: message,
      next: 'see "varlog raft-inspect" for what it has, or restore another member that is left',
      details: { path },
    });
  }
  const { entries = { first: 1, last: 0, lastTerm: 0 }, snapshot, members } = found;
  const { index = 0, term = 0 } = snapshot ?? {};
  const termThere = runs.findLast((it) => it.index <= index)?.term;
  // They stay where they go on from what the snapshot stands for.
  const keeps = entries.first > index || (entries.last > index && termThere === term);
  const configuration = (keeps ? members?.configuration : snapshot?.configuration) ?? NOBODY;
  const before = membersOf(configuration);
  if (found.memberId !== member.id || !before.has(member.id)) throw stranger(options);
  return {
    keptUpTo: keeps ? entries.last : index,
    lastTerm: keeps ? entries.lastTerm : term,
    membersBefore: [...before],
  };
}

function stranger(
  { groupId, member, directory }: RestoreOptions,
  others: readonly string[] = [],
): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `folder "${directory}" is not of a member ${member.id} that belonged to Raft group "${groupId}"`,
    ...(others.length > 0 && { because: groupsSaid(others) }),
    next: 'name the folder of a member that is left, or of the host that it is on',
  });
}
