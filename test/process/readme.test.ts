import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { freeAddresses } from 'varlog/testing';
import { TestCluster } from './processes.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const blocksOf = (text: string): { language: string; code: string }[] =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    code: match[2]!,
  }));
const readme = read('README.md');
const blocks = blocksOf(readme);
const scripts = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts as object;

/** Runs a block as a reader's file inside the package. */
function runTypeScript(code: string): string {
  const folder = mkdtempSync(join(ROOT, 'dist', 'readme-'));
  try {
    const { code: script } = transformSync(code, {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'es6' },
    });
    const path = join(folder, 'block.mjs');
    writeFileSync(path, script);
    return execFileSync(process.execPath, [path], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runCommand(line: string, endpoint: string): void {
  const command = line.replace(/\s+#.*$/, '');
  for (const part of command.split(' && ')) {
    const npm = /^npm (?:run )?(\w+)$/.exec(part);
    if (npm !== null) {
      expect(['ci', ...Object.keys(scripts)]).toContain(npm[1]);
      continue;
    }
    expect(part).toMatch(/^npx varlog /);
    const there = part.replace('npx varlog ', `npx varlog --endpoints ${endpoint} `);
    const { status, stderr } = spawnSync(there, {
      cwd: ROOT,
      shell: true,
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ part, status, stderr }).toEqual({ part, status: 0, stderr: expect.anything() });
  }
}

describe('README', () => {
  test('every code block runs', async () => {
    await using cluster = await TestCluster.start(1);
    const endpoint = cluster.endpoints[0]!;
    {
      await using varlog = await cluster.connect();
      await varlog.createTopic({ logStreams: 2 });
    }
    const outputs: string[] = [];
    for (const { language, code } of blocks) {
      if (language === 'ts')
        outputs.push(runTypeScript(code.replaceAll('127.0.0.1:9092', endpoint)));
      else if (language === 'bash') {
        for (const line of code.trim().split('\n')) runCommand(line, endpoint);
      } else expect(language).toBe('');
    }
    expect(outputs.join('\n')).toContain('durable and ordered when this resolves');
    expect(outputs.at(-1)).toBe('2\n');
  }, 300_000);

  test('every code block of the Raft library runs', async () => {
    const outputs: string[] = [];
    for (const { language, code } of blocksOf(read('framework/raft/README.md'))) {
      if (language !== 'ts') continue;
      const [port] = (await freeAddresses(3)).map((it) => Number(it.split(':')[1]));
      const moved = code
        .replace('7100', `${port! - 1}`)
        .replace('7111', `${port}`)
        .replaceAll('7121', `${port}`);
      outputs.push(runTypeScript(moved));
    }
    expect(outputs).toEqual(['5\n', '[ 1, 2 ]\n', '[ 2, 2 ]\n']);
  }, 180_000);
});
