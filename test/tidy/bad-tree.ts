import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from './source.ts';

/** A project of a few files beside the packages of this one, for rules to find fault with. */
export class BadTree implements Disposable {
  private readonly directory = mkdtempSync(join(tmpdir(), 'varlog-tidy-'));

  constructor(files: Record<string, string>, copied: readonly string[]) {
    symlinkSync(join(ROOT, 'node_modules'), join(this.directory, 'node_modules'));
    for (const path of copied) cpSync(join(ROOT, path), join(this.directory, path));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(this.directory, dirname(path)), { recursive: true });
      writeFileSync(join(this.directory, path), text);
    }
  }

  /** What a program of Node.js says of it. */
  run(args: readonly string[]): string {
    const { stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: this.directory,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout + stderr;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
