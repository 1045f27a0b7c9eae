import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** The folder that holds package.json. */
export const ROOT = resolve(__dirname, '../..');

const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git', '.varlog', 'gen']);

/** A text file of the project. */
export class Source {
  /** From the root, with `/`. */
  readonly path: string;
  readonly text: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  /** `path:line`, for messages. */
  at(offset: number): string {
    return `${this.path}:${this.text.slice(0, offset).split('\n').length}`;
  }
}

/** What is wrong and what to do about it, one string each. */
export type Problems = string[];

/** All files under a folder of the project that end in one of `extensions`. */
export function filesUnder(folder: string, extensions: readonly string[]): Source[] {
  const found: Source[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) visit(path);
      } else if (extensions.some((it) => entry.name.endsWith(it))) {
        const fromRoot = relative(ROOT, path).replaceAll('\\', '/');
        found.push(new Source(fromRoot, readFileSync(path, 'utf8')));
      }
    }
  };
  visit(join(ROOT, folder));
  return found;
}
