import { type Disk, type DiskFile, Lanes, VarlogError } from '../base/index.ts';
import {
  type Block,
  type BlockSource,
  decodeBlock,
  hasNewerBlock,
  type WriteEntry,
} from './write-ahead-block.ts';
import { FILE_NAMES } from './write-ahead-log.ts';

const FILES_AT_ONCE = 8;

/**
 * Writes again what a write-ahead log has and the files in `folder` may not, durably. Returns the files that are not there any
 * more. Throws `CORRUPT` where the write-ahead log is damaged or missing, and changes nothing then.
 */
export async function replayWriteAhead(place: {
  disk: Disk;
  folder: string;
  directory: string;
  tag: number;
}): Promise<string[]> {
  const { disk, folder } = place;
  const writes = new Map<string, WriteEntry[]>();
  for (const { entries } of await blocksOf(place)) {
    for (const entry of entries) {
      const name = new TextDecoder().decode(entry.name);
      const of = writes.get(name) ?? [];
      if (entry.kind === 'settled') of.length = 0;
      else of.push(entry);
      writes.set(name, of);
    }
  }
  const missing: string[] = [];
  const lanes = new Lanes<string>(FILES_AT_ONCE);
  const replay = async (name: string, entries: readonly WriteEntry[]): Promise<void> => {
    if (entries.length === 0) return;
    const path = `${folder}/${name}`;
    const isThere = await writeAgain(disk, path, entries);
    if (!isThere) missing.push(path);
  };
  await Promise.all([...writes].map(([name, all]) => lanes.run(name, () => replay(name, all))));
  return missing;
}

async function writeAgain(
  disk: Disk,
  path: string,
  entries: readonly WriteEntry[],
): Promise<boolean> {
  let file: DiskFile;
  try {
    file = await disk.open(path, 'existing');
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND')) return false;
    throw error;
  }
  try {
    for (const { offset, chunks } of entries) await file.write(offset, chunks);
    await file.sync();
  } finally {
    await file.close();
  }
  return true;
}

/** Those that are needed, in their order. */
async function blocksOf({
  disk,
  directory,
  tag,
}: {
  disk: Disk;
  directory: string;
  tag: number;
}): Promise<Block[]> {
  const read = FILE_NAMES.map((name) => readFile(disk, `${directory}/${name}`, tag));
  const files = await Promise.all(read);
  const all = files.flatMap((it) => it.blocks).sort((a, b) => a.number - b.number);
  const last = all.at(-1);
  // Older ones may lie behind those of a file, and behind an interrupted one, but none that is newer than all of them.
  for (const { source, bytes, end } of files) {
    if (!hasNewerBlock(bytes, end, last?.number ?? 0, source)) continue;
    throw damaged(source.path, `byte ${end} should begin a block`);
  }
  if (last === undefined) return [];
  const needed = all.filter((it) => it.number >= last.oldest);
  if (needed.length === last.number - last.oldest + 1) return needed;
  throw damaged(disk.pathOf(directory), `one of the blocks from ${last.oldest} on is missing`);
}

interface LogFile {
  readonly source: BlockSource;
  readonly bytes: Uint8Array;
  /** Those at its beginning, each the next one of that before. */
  readonly blocks: readonly Block[];
  /** Where they end. */
  readonly end: number;
}

async function readFile(disk: Disk, path: string, tag: number): Promise<LogFile> {
  const source = { path: disk.pathOf(path), tag };
  const bytes = await readWhole(disk, path);
  const blocks: Block[] = [];
  let end = 0;
  for (;;) {
    const next = decodeBlock(bytes, end, source);
    const number = blocks.at(-1)?.number;
    const follows = number === undefined || next?.block.number === number + 1;
    if (next === undefined || !follows) return { source, bytes, blocks, end };
    blocks.push(next.block);
    end = next.end;
  }
}

async function readWhole(disk: Disk, path: string): Promise<Uint8Array> {
  let file: DiskFile;
  try {
    file = await disk.open(path, 'read');
  } catch (error) {
    if (!VarlogError.is(error, 'NOT_FOUND')) throw error;
    throw damaged(disk.pathOf(path), 'the file is missing');
  }
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}

/** `path`: for people. */
function damaged(path: string, why: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `${path} is damaged: ${why}`,
    because: 'it has records that were acknowledged and are not in their own files yet',
    next: 'bring the file back; or give the node an empty folder, and replace it by "varlog node replace": its replicas are built anew from others',
    details: { path },
  });
}
