import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const STRICT =
  '--ignoreConfig --noEmit --strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --skipLibCheck --module nodenext --target es2023 --lib es2023,esnext.disposable --types node --customConditions @varlog/source --rewriteRelativeImportExtensions';

/** Pages whose examples go on where the ones before have ended. */
const ONE_PROGRAM: ReadonlySet<string> = new Set(['docs/guide/order.md', 'docs/guide/versions.md']);

/** The TypeScript examples of a file: of its text, or of its comments. */
function examplesOf(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8').replaceAll(/^ *\* ?/gm, '');
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

test.each([
  ['docs/errors.md', 1],
  ['docs/guide/changes.md', 1],
  ['docs/guide/effects.md', 1],
  ['docs/guide/order.md', 2],
  ['docs/guide/sharding.md', 2],
  ['docs/guide/snapshots.md', 5],
  ['docs/guide/speculation.md', 1],
  ['docs/guide/timers.md', 2],
  ['docs/guide/transactions.md', 2],
  ['docs/guide/versions.md', 5],
  ['framework/raft/README.md', 3],
  ['framework/raft/index.ts', 2],
] as const)(
  'the examples in %s compile under strict',
  (path, count) => {
    mkdirSync(join(ROOT, 'dist'), { recursive: true });
    const folder = mkdtempSync(join(ROOT, 'dist', 'examples-'));
    try {
      const examples = examplesOf(path);
      expect(examples).toHaveLength(count);
      const programs = ONE_PROGRAM.has(path) ? [examples.join('\n')] : examples;
      const files = programs.map((code, i) => {
        const file = join(folder, `example-${i}.mts`);
        writeFileSync(file, code);
        return file;
      });
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      const options = [...STRICT.split(' '), ...files];
      const { status, stdout } = spawnSync(tsc, options, { cwd: folder, encoding: 'utf8' });
      expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);
