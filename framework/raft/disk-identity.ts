import { type Disk, type Random, VarlogError } from '../base/index.ts';
import { jsonFormat, StateFile } from '../store/index.ts';
import type { Configuration, Raft } from './core/index.ts';
import { REPLACE_MEMBER } from './stored-values.ts';

const FILE = 'members';

/** What a member's folder says of itself. */
export interface DiskFacts {
  /** Random id of this member's own disk, made once, with the disk. */
  readonly incarnation: string;
  /** Which group this disk belongs to, empty before that is certain; it never belongs to another one. */
  readonly identity: string;
  /** Changes when a group is restored from a minority: members of before are strangers to it. */
  readonly generation: string;
}

interface Known extends DiskFacts {
  /** Other members by what they said, and whether they confirmed to know this one. */
  readonly others: readonly (readonly [id: number, incarnation: string, confirmed: boolean])[];
}

interface KnownDisk {
  readonly incarnation: string;
  readonly confirmed: boolean;
  /** Settles when this is durable, or cannot be written and is not known any more. */
  written: Promise<void>;
}

/**
 * Who has which disk. A member whose disk was lost has forgotten its vote and what it acknowledged, and
 * must not vote as if nothing had happened. So each disk has an incarnation, a random id that is made with it:
 *
 * - the log's configuration names the incarnation of each member; a member that finds another one than its own
 *   there knows that its disk was lost;
 * - a group begins when all its first members have met: each told every other one its incarnation, which that one
 *   wrote down before it answered. A member of a new group votes only then. So a member with an emptied disk cannot
 *   be taken for new, even by one that was away ever since: whoever it asks knows another incarnation.
 */
export class DiskIdentity {
  readonly incarnation: string;
  identity: string;
  generation: string;
  private readonly file: StateFile<Known>;
  private readonly knownDisks = new Map<number, KnownDisk>();
  /** Settles when `identity` is durable, or is not what it was. */
  private joined: Promise<void> = Promise.resolve();

  private constructor(
    file: StateFile<Known>,
    { incarnation, identity, generation, others }: Known,
  ) {
    this.file = file;
    this.incarnation = incarnation;
    this.identity = identity;
    this.generation = generation;
    for (const [id, other, confirmed] of others) {
      this.knownDisks.set(id, { incarnation: other, confirmed, written: Promise.resolve() });
    }
  }

  /** Whether a folder has been a member's. */
  static async existsIn(directory: string, disk: Disk): Promise<boolean> {
    return (await disk.list(directory)).includes(FILE);
  }

  static async open(options: {
    disk: Disk;
    random: Random;
    directory: string;
    label: string;
  }): Promise<DiskIdentity> {
    const { disk, random, directory, label } = options;
    const file = await StateFile.open(
      disk,
      `${directory}/${FILE}`,
      label,
      jsonFormat<Known>(),
      REPLACE_MEMBER,
    );
    if (file.value !== undefined) return new DiskIdentity(file, file.value);
    const known: Known = { incarnation: random.id(), identity: '', generation: '', others: [] };
    await file.write(known);
    return new DiskIdentity(file, known);
  }

  /** What is known of a member's disk, by the log first. */
  incarnationOf(id: number, { incarnations }: Configuration): string | undefined {
    return incarnations.get(id) ?? this.knownDisks.get(id)?.incarnation;
  }

  /**
   * Throws `CORRUPT` for the only member of a group that knows its group, and has nothing of its log: it knows it since the first
   * entry was committed, and would begin a new log as the same group.
   */
  checkLog({ log, configuration }: Pick<Raft, 'log' | 'configuration'>, memberId: number): void {
    const isAlone = configuration.voters.every((it) => it === memberId);
    if (this.identity === '' || log.last > 0 || !isAlone || configuration.voters.length === 0)
      return;
    throw new VarlogError('CORRUPT', {
      what: `member ${memberId} has nothing of the log of its Raft group, of which it is the only member`,
      because: 'files were deleted, or a copy of the folder is not complete',
      next: 'put the whole folder back as it was last',
    });
  }

  /** Whether that member has confirmed that it knows this one, and no other in its place. */
  isConfirmedBy(id: number): boolean {
    return this.knownDisks.get(id)?.confirmed === true;
  }

  /** Writes down what a member said. Resolves when that is durable, so at once when it was written before. */
  record(id: number, incarnation: string, confirmed: boolean): Promise<void> {
    const before = this.knownDisks.get(id);
    const isKnown = before?.incarnation === incarnation && (before.confirmed || !confirmed);
    if (isKnown) return before.written;
    const known: KnownDisk = {
      incarnation,
      confirmed: confirmed || before?.confirmed === true,
      written: Promise.resolve(),
    };
    this.knownDisks.set(id, known);
    known.written = this.save().catch(async (error: unknown) => {
      // What was known before may not have been written either.
      const kept = await before?.written.then(
        () => before,
        () => undefined,
      );
      if (this.knownDisks.get(id) === known) {
        if (kept === undefined) this.knownDisks.delete(id);
        else this.knownDisks.set(id, kept);
      }
      throw error;
    });
    return known.written;
  }

  /** Belongs to this group from now on, for ever. Resolves when that is durable. */
  joinGroup(identity: string): Promise<void> {
    const before = this.identity;
    if (identity === before) return this.joined;
    this.identity = identity;
    this.joined = this.save().catch((error: unknown) => {
      this.identity = before;
      this.joined = Promise.resolve();
      throw error;
    });
    return this.joined;
  }

  /** Belongs to another generation of the group from now on, and knows nobody in it yet. */
  async enterGeneration(generation: string): Promise<void> {
    this.generation = generation;
    this.knownDisks.clear();
    await this.save();
  }

  /** Resolves when nothing is being written any more. */
  settled(): Promise<void> {
    return this.file.settled();
  }

  private async save(): Promise<void> {
    const { incarnation, identity, generation } = this;
    const others = [...this.knownDisks].map(([it, other]) => {
      return [it, other.incarnation, other.confirmed] as const;
    });
    const known: Known = { incarnation, identity, generation, others };
    await this.file.write(known);
  }
}

/** What is written in the folder of a member, which is only read; `undefined` where nothing is. Rejects as {@link StateFile.open}. */
export async function diskFactsIn(
  disk: Disk,
  directory: string,
  label: string,
): Promise<DiskFacts | undefined> {
  const file = await StateFile.open(disk, `${directory}/${FILE}`, label, jsonFormat<Known>());
  if (file.value === undefined) return undefined;
  const { incarnation, identity, generation } = file.value;
  return { incarnation, identity, generation };
}

/** The error of a member that is not the one which the others know. */
export function diskLost(groupId: string, id: number): VarlogError {
  return new VarlogError('DISK_LOST', {
    what: `member ${id} of Raft group "${groupId}" does not have the disk that the group knows it by`,
    because:
      'its folder was lost, emptied, or replaced by another one; or it is new, and has the addresses of another group',
    next: 'put the folder back; or remove the member, and add another one under a new id in its place; or give a new group addresses of its own',
  });
}

/** The error of a member that has forgotten what it promised. */
export function diskRolledBack(groupId: string, id: number): VarlogError {
  return new VarlogError('DISK_LOST', {
    what: `member ${id} of Raft group "${groupId}" has an older disk than the one with which it voted or acknowledged`,
    because:
      'its folder was replaced by an earlier copy of itself, or its disk took back what it had synced',
    next: 'remove the member, and add another one under a new id in its place',
  });
}
