import { type Disk, VarlogError } from '../../framework/base/index.ts';

/** Moves a folder at the root of a disk, durably. */
export async function moveFolder(disk: Disk, from: string, to: string): Promise<void> {
  await disk.remove(to);
  await disk.rename(from, to);
  await disk.syncDirectory('');
}

/** Copies a folder with all that is in it, durably, in the place of what is there. */
export async function copyFolder(
  from: Disk,
  source: string,
  to: Disk,
  target: string,
): Promise<void> {
  await to.remove(target);
  await to.makeDirectory(target);
  for (const name of await from.list(source)) {
    const bytes = await contentOf(from, `${source}/${name}`);
    if (bytes === undefined) {
      await copyFolder(from, `${source}/${name}`, to, `${target}/${name}`);
      continue;
    }
    const file = await to.open(`${target}/${name}`, 'create');
    await file.write(0, [bytes]);
    await file.sync();
    await file.close();
  }
  await to.syncDirectory(target);
}

/** The bytes of a file; `undefined` for a folder. */
async function contentOf(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await disk.open(path, 'existing');
    const bytes = await file.read(0, await file.size());
    await file.close();
    return bytes;
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
