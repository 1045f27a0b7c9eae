import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../process/processes.ts';

const FACES = ['log', 'raft', 'smr', 'node', 'testing'];

describe('the package as it is published', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-package-'));
  const run = (file: string, code: string): string => {
    writeFileSync(join(folder, file), code);
    return execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
  };

  beforeAll(() => {
    const options = { cwd: ROOT, stdio: 'ignore' } as const;
    execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], options);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    execFileSync('tar', ['xzf', `varlog-${version}.tgz`], { cwd: folder });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer' }));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(join(folder, 'package'), join(folder, 'node_modules/varlog'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'package/node_modules'));
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(FACES)('varlog/%s can be imported and required', (face) => {
    const list = `console.log(Object.keys(it).length > 0)`;
    expect(run('a.mjs', `import * as it from 'varlog/${face}';\n${list}`)).toBe('true\n');
    const required = `const it = require('varlog/${face}');\n${list}; process.exit()`;
    expect(run('a.cjs', required)).toBe('true\n');
  });

  test('everything else is closed', () => {
    const code = `import('varlog/dist/framework/base/index.js').catch((it) => console.log(it.code));`;
    expect(run('b.mjs', code)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });

  test('its types are there, and no test is', () => {
    for (const face of FACES) {
      const types = join(folder, `package/dist/framework/${face}/index.d.ts`);
      expect(readFileSync(types, 'utf8')).toContain('export');
    }
    const files = execFileSync('find', ['package/dist', '-name', '*.test.*'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(files).toBe('');
  });
});
