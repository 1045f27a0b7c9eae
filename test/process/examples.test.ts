import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freeAddresses } from 'varlog/testing';
import { ROOT } from './local-processes.ts';
import { TestCluster } from './processes.ts';

const names = readdirSync(join(ROOT, 'examples'))
  .filter((it) => it.endsWith('.ts'))
  .map((it) => it.slice(0, -'.ts'.length));

/** What the header of an example says that it prints, behind the command that runs it. */
function promised(name: string): string {
  const text = readFileSync(join(ROOT, 'examples', `${name}.ts`), 'utf8');
  const header = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0].replaceAll(/^ \* ?/gm, '') ?? '';
  const shown = /^```\n\$ node dist\/examples\/(\S+)\.js\n([\s\S]*?)^```$/m.exec(header);
  expect({ name, runs: shown?.[1] }).toEqual({ name, runs: name });
  return shown![2]!;
}

/** A port that is free, as are the three behind it. */
async function freePort(): Promise<number> {
  for (;;) {
    const ports = (await freeAddresses(4)).map((it) => Number(it.split(':')[1]));
    if (ports[3] === ports[0]! + 3) return ports[0]!;
  }
}

/** Runs it as its reader does. It must end by itself. */
async function printed(name: string, env: Record<string, string>): Promise<string> {
  const path = join(ROOT, 'dist/examples', `${name}.js`);
  const options = { env: { ...process.env, ...env }, timeout: 60_000 };
  return (await promisify(execFile)(process.execPath, [path], options)).stdout;
}

describe('the examples', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await TestCluster.start(1);
  }, 60_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each(names)(
    '%s prints what it says',
    async (name) => {
      const env = { VARLOG_URL: cluster.endpoints.join(','), PORT: String(await freePort()) };
      expect(await printed(name, env)).toBe(promised(name));
    },
    90_000,
  );

  test('are all listed in their README', () => {
    const readme = readFileSync(join(ROOT, 'examples/README.md'), 'utf8');
    expect(names.filter((it) => !readme.includes(`[${it}.ts](${it}.ts)`))).toEqual([]);
  });
});
