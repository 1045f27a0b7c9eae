import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../process/local-processes.ts';

/** Runs a program of this repository; its output, or an error that holds it. */
function run(args: readonly string[]): string {
  try {
    return execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stdout}${stderr}`);
  }
}

describe('the public API of the package', () => {
  let folder: string;
  let tarball: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'varlog-entry-points-'));
    const packing = ['pack', '--ignore-scripts', '--pack-destination', folder];
    execFileSync('npm', packing, { cwd: ROOT, stdio: 'pipe' });
    tarball = join(folder, readdirSync(folder)[0]!);
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is what its report in infra/api says', () => {
    run(['infra/api-report.mjs', '--check']);
  }, 240_000);

  test('its package.json leads to what is there, as publint reads it', () => {
    const text = `
      import { readFileSync } from 'node:fs';
      import { publint } from 'publint';
      import { formatMessage } from 'publint/utils';
      const { buffer } = readFileSync(${JSON.stringify(tarball)});
      const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
      console.log(messages.map((it) => formatMessage(it, pkg)).join('\\n'));`;
    expect(run(['--input-type=module', '--eval', text])).toBe('\n');
  }, 120_000);

  test('its types are found by every module system that can find its code', () => {
    // Without "exports", that is before Node.js 12, there is nothing to find.
    const flags = ['--profile', 'node16', '--format', 'ascii', '--no-color', '--no-emoji'];
    const output = run(['node_modules/@arethetypeswrong/cli/dist/index.js', tarball, ...flags]);
    expect(output).toContain('varlog/testing/containers');
    expect(output).toContain('varlog/testing/contracts');
    expect(output).toContain('varlog/testing/sql');
  }, 120_000);
});
