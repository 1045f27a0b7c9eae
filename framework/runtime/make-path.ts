import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those that it is in, and resolves with the first one that was not there; `undefined` where all of
 * them were. Node's own way never ends below a folder in which nothing can be made and that says so as if it were not
 * there, as `/proc` does.
 */
export async function makePath(path: string): Promise<string | undefined> {
  try {
    return (await isMade(path)) ? path : undefined;
  } catch (error) {
    const above = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw error;
    const first = await makePath(above);
    const made = await isMade(path);
    return first ?? (made ? path : undefined);
  }
}

/** False: it was there. */
async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() === true) return false;
    throw error;
  }
}

/** {@link makePath} for whoever cannot wait: of a program that only begins, or that has nothing else to do. */
export function makePathSync(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const above = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw error;
    makePathSync(above);
    mkdirSync(path);
  }
}
