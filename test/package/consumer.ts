import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../process/local-processes.ts';

/** A program of somebody else, in a folder of its own, that has installed the packed package. */
export class Consumer {
  readonly folder = mkdtempSync(join(tmpdir(), 'varlog-package-'));
  /** Where the package lies. */
  readonly installed = join(this.folder, 'node_modules/varlog');

  /** Packs the package as it would be published and installs it, among all that this repository uses but `without`. */
  constructor(without: readonly string[]) {
    const packing = ['pack', '--ignore-scripts', '--pack-destination', this.folder];
    const options = { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' } as const;
    execFileSync('npm', packing, options);
    const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    execFileSync('tar', ['xzf', `varlog-${own.version}.tgz`], { cwd: this.folder });
    mkdirSync(dirname(this.installed), { recursive: true });
    execFileSync('mv', [join(this.folder, 'package'), this.installed]);
    const packages = join(ROOT, 'node_modules');
    for (const name of readdirSync(packages)) {
      if (without.includes(name)) continue;
      symlinkSync(join(packages, name), join(this.folder, 'node_modules', name));
    }
    this.write('package.json', JSON.stringify({ name: 'consumer', private: true }));
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** Runs a program; its output, or an error that holds it. */
  run(args: readonly string[]): string {
    const options = { cwd: this.folder, encoding: 'utf8', stdio: 'pipe' } as const;
    try {
      return execFileSync(process.execPath, args, options);
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${stdout}${stderr}`);
    }
  }

  /** Runs the text of a program. */
  runText(file: string, text: string): string {
    this.write(file, text);
    return this.run([file]);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
