import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Disk } from '../../framework/base/index.ts';

/** Files by their names. Of the zeros at the end of a segment, prepared for later frames, whole sectors are left out. */
export type Files = ReadonlyMap<string, Uint8Array>;

const SECTOR_BYTES = 512;

/** The golden files of a sample in one version of its format; `root` is this folder. */
export function loadGolden(root: string, name: string, version: number): Files {
  const folder = join(root, `${name}-${version}`);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const found = names.filter((it) => it.endsWith('.bin')).sort();
  return new Map(
    found.map((it) => [it.replace(/\.bin$/, ''), new Uint8Array(readFileSync(join(folder, it)))]),
  );
}

export function saveGolden(root: string, name: string, version: number, files: Files): void {
  const folder = join(root, `${name}-${version}`);
  rmSync(folder, { recursive: true, force: true });
  for (const [file, bytes] of files) {
    const path = join(folder, `${file}.bin`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}

/** What lies on a disk that lists its files. */
export async function filesOf(
  disk: Disk & { files(): readonly { path: string }[] },
): Promise<Files> {
  const found = new Map<string, Uint8Array>();
  for (const path of disk.files().map((it) => it.path)) {
    const file = await disk.open(path, 'existing');
    const bytes = await file.read(0, await file.size());
    found.set(path, path.endsWith('.segment') ? withoutZeros(bytes) : bytes);
    await file.close();
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export async function putOn(disk: Disk, files: Files): Promise<void> {
  for (const [path, bytes] of files) {
    const slash = path.lastIndexOf('/');
    const folder = slash < 0 ? '.' : path.slice(0, slash);
    await disk.makeDirectory(folder);
    const file = await disk.open(path, 'create');
    await file.write(0, [bytes]);
    await file.sync();
    await file.close();
    await disk.syncDirectory(folder);
  }
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.slice(0, Math.ceil(end / SECTOR_BYTES) * SECTOR_BYTES);
}
