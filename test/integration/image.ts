import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const BASE = 'varlog-test-base';
const IMAGE = 'varlog-test';

/** Why no container can be run here; `undefined` when one can. */
export function engineMissing(): string | undefined {
  try {
    execFileSync('docker', ['info'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'no container engine answers (is dockerd running?)';
  }
}

/** Builds the project's image on a base made of this machine's Node.js: none need be pulled. */
export function buildImage(): string {
  buildBase();
  execFileSync(
    'docker',
    [
      'build',
      '-q',
      '-f',
      'infra/Dockerfile',
      '--build-arg',
      `BASE_IMAGE=${BASE}`,
      '-t',
      IMAGE,
      '.',
    ],
    { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return IMAGE;
}

function buildBase(): void {
  const context = mkdtempSync(join(tmpdir(), 'varlog-base-'));
  const add = (path: string, as = path): void => {
    const target = join(context, 'rootfs', as);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(realpathSync(path), target);
    chmodSync(target, 0o755);
  };
  try {
    for (const [path, as] of [
      [process.execPath, '/usr/bin/node'],
      ['/bin/sh', '/bin/sh'],
    ] as const) {
      add(path, as);
      for (const library of librariesOf(path)) add(library);
    }
    for (const addon of addons()) for (const library of librariesOf(addon)) add(library);
    mkdirSync(join(context, 'rootfs/tmp'), { recursive: true, mode: 0o1777 });
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM scratch\nCOPY rootfs /\nENV PATH=/usr/bin:/bin\n',
    );
    execFileSync('docker', ['build', '-q', '-t', BASE, context], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** Native parts of packages need libraries of the system, too. */
function addons(): string[] {
  const folder = join(ROOT, 'node_modules');
  return ['@node-rs', 'better-sqlite3/build/Release'].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' })
      .filter((it) => it.endsWith('.node'))
      .map((it) => join(folder, name, it)),
  );
}

function librariesOf(binary: string): string[] {
  const listing = execFileSync('ldd', [binary], { encoding: 'utf8' });
  return [...listing.matchAll(/(\/\S+)\s+\(0x/g)].map((match) => match[1]!);
}
