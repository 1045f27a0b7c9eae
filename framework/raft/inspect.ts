import { checkNames, type Disk, decodeBatch, VarlogError } from '../base/index.ts';
import { ReadOnlyDisk, type TornEnd } from '../store/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  type EntryBatch,
  type HardState,
  isConfigurationEntry,
} from './core/index.ts';
import type { DiskFacts } from './disk-identity.ts';
import { type Damage, type MemberFiles, openMemberFiles } from './member-files.ts';
import { findMemberFolder } from './member-folder.ts';
import { toBatches } from './stored-entries.ts';
import type { Snapshot } from './stored-values.ts';

/** Whose folder to look into. */
export interface InspectOptions {
  readonly disk: Disk;
  /** The folder of a member, or that of the host it is on, as it was given to open them. */
  readonly directory: string;
  /** Which group, where a host has several. */
  readonly groupId?: string | undefined;
}

/** What a member has on its disk. */
export interface InspectedMember {
  readonly directory: string;
  readonly groupId: string;
  readonly memberId: number;
  /** Its own disk and the group it belongs to; `undefined` where nothing is written or it is damaged. */
  readonly disk: DiskFacts | undefined;
  readonly hardState: HardState | undefined;
  /** Indexes of its entries, none where `last` is `first - 1`, and the term of the last one. All of them were read. */
  readonly entries:
    | { readonly first: number; readonly last: number; readonly lastTerm: number }
    | undefined;
  /** Its snapshot, all of which was read and has the checksum it should have. */
  readonly snapshot: Snapshot | undefined;
  /** The newest configuration it has, and the index of its entry or snapshot. */
  readonly members: { readonly index: number; readonly configuration: Configuration } | undefined;
  /** What interrupted writes left: opening the member cuts or removes it, and loses nothing that was acknowledged. */
  readonly tornEnds: readonly TornEnd[];
  readonly remains: readonly string[];
  readonly damage: readonly Damage[];
}

/** One entry of a member's log. */
export interface InspectedEntry {
  readonly index: number;
  readonly term: number;
  /** `leader`: the empty one that a new leader begins with. */
  readonly kind: 'command' | 'configuration' | 'leader';
  readonly value: Uint8Array;
}

const READ_BYTES = 1024 * 1024;

/**
 * Reads everything that a member has on its disk, and changes nothing. What is damaged is told in `damage`, beside all
 * that could be read. `entry` is called with each entry, in order, up to the first that is damaged. Rejects with
 * `NOT_FOUND` for a folder that is no member's, `INVALID_ARGUMENT` for a host's with several groups where none is named,
 * and `DIRECTORY_IN_USE` for one that runs: what it writes at that moment would look like damage.
 */
export async function inspectMember(
  options: InspectOptions,
  entry: (entry: InspectedEntry) => void = () => {},
): Promise<InspectedMember> {
  checkNames(options, { disk: true, directory: true, groupId: true }, 'inspectMember');
  const disk = new ReadOnlyDisk(options.disk);
  const place = await findMemberFolder({ ...options, disk });
  const files = await openMemberFiles(disk, place);
  try {
    const entries = await walk(files, entry);
    const { snapshot } = files;
    checkFit(files, disk.pathOf(place.directory));
    const { directory, groupId, memberId } = place;
    return {
      ...{ directory, groupId, memberId },
      disk: files.identity,
      hardState: files.hardState,
      entries: entries.range,
      snapshot,
      members:
        entries.members ??
        (snapshot && { index: snapshot.index, configuration: snapshot.configuration }),
      tornEnds: disk.tornEnds,
      remains: disk.remains,
      damage: files.damage,
    };
  } finally {
    await files.close();
  }
}

async function walk(
  { log, snapshot, noting }: MemberFiles,
  tell: (entry: InspectedEntry) => void,
): Promise<Pick<InspectedMember, 'members'> & { range: InspectedMember['entries'] }> {
  if (log === undefined) return { members: undefined, range: undefined };
  const { first, end: last } = log;
  let lastTerm = last === snapshot?.index ? snapshot.term : 0;
  let members: InspectedMember['members'];
  await noting(async () => {
    for (let next = first; next <= last; ) {
      for (const batch of toBatches(await log.read(next, READ_BYTES), next)) {
        if (isConfigurationEntry(batch)) {
          members = { index: batch.index, configuration: decodeConfiguration(batch.payload) };
        }
        for (const it of entriesOf(batch)) tell(it);
        lastTerm = batch.term;
        next = batch.index + batch.count;
      }
    }
  });
  return { members, range: { first, last, lastTerm } };
}

function entriesOf(batch: EntryBatch): InspectedEntry[] {
  const { index, term, count, payload } = batch;
  if (payload.length === 0) return [{ index, term, kind: 'leader', value: payload }];
  if (isConfigurationEntry(batch)) return [{ index, term, kind: 'configuration', value: payload }];
  const commands = decodeBatch({ count, bytes: payload });
  return commands.map((value, i) => ({ index: index + i, term, kind: 'command', value }));
}

/** Entries must follow on what the snapshot stands for. */
function checkFit({ log, snapshot, damage }: MemberFiles, directory: string): void {
  const through = snapshot?.index ?? 0;
  if (log === undefined || log.first <= through + 1) return;
  // Where the snapshot itself is damaged that is said already.
  if (damage.some((it) => it.path === `${directory}/snapshot`)) return;
  const { message } = new VarlogError('CORRUPT', {
    what: `entries ${through + 1} to ${log.first - 1} are missing behind the snapshot`,
    because: 'files of the member were removed or restored from different times',
    next: 'rebuild this member under a new id',
  });
  damage.push({ code: 'CORRUPT', path: directory, offset: undefined, message });
}
