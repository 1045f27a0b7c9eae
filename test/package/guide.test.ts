import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../process/local-processes.ts';
import { COMPILER, filesOf } from './guides.ts';

test('whoever follows the guide to testing has files that compile, and tests that pass', () => {
  const files = filesOf('docs/guide/testing.md');
  const text = readFileSync(join(ROOT, 'docs/guide/testing.md'), 'utf8');
  expect(files.length).toBe([...text.matchAll(/^```ts$/gm)].length);
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'dist', 'guide-'));
  const run = (program: string, ...args: string[]) => {
    // Without what tells `node --test` that it is called by another test runner.
    const options = { cwd: folder, encoding: 'utf8', env: { PATH: process.env['PATH'] } } as const;
    const { status, stdout, stderr } = spawnSync(program, args, options);
    return { status, output: status === 0 ? '' : `${stdout}${stderr}` };
  };
  try {
    for (const [name, code] of files) writeFileSync(join(folder, name), code);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(COMPILER));
    const passed = { status: 0, output: '' };
    expect(run(join(ROOT, 'node_modules/.bin/tsc'))).toEqual(passed);
    const tests = files
      .map(([name]) => name.replace('.ts', '.js'))
      .filter((it) => it.includes('.test.'));
    expect(tests).toHaveLength(5);
    expect(run(process.execPath, '--test', ...tests)).toEqual(passed);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);
