import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LISTENING, superviseNode } from './child-node.ts';

const onLinux = process.platform === 'linux' ? test : test.skip;

// Nothing can be made in /proc, and Linux says so as if that were not there.
onLinux(
  'a folder that cannot be made ends a node, and not the process that starts it',
  () => {
    const directory = '/proc/varlog/node';
    // In a process of its own: one that does not come back cannot be ended from within.
    const module = pathToFileURL(join(__dirname, '../../dist/framework/node/child-node.js')).href;
    const program = `
    const { superviseNode } = await import('${module}');
    superviseNode({
      command: process.execPath, args: [], directory: '${directory}', now: () => performance.now(),
      ended: (how, again) => console.log(again, how),
    });`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 60_000,
      encoding: 'utf8',
    });
    expect(run.signal).toBeNull();
    expect(run.stdout).toMatch(/^true ENOENT.*\ntrue ENOENT.*\nfalse ENOENT/);
  },
  70_000,
);

test('a node listens once it has said so, and not any more when it has ended', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'varlog-child-'));
  // Says so when it is started for the first time only.
  const program = `
    const { existsSync, writeFileSync } = require('node:fs');
    if (!existsSync('${directory}/once')) {
      writeFileSync('${directory}/once', '');
      process.send(${JSON.stringify(LISTENING)});
    }
    process.once('SIGTERM', () => process.exit());
    setInterval(() => {}, 1000);`;
  const endings: string[] = [];
  const node = superviseNode({
    command: process.execPath,
    args: ['-e', program],
    directory,
    now: () => performance.now(),
    ended: (how) => endings.push(how),
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  try {
    expect(node.isListening).toBe(false);
    await until(() => node.isListening);
    process.kill(node.pid!, 'SIGKILL');
    await until(() => endings.length === 1);
    expect(node.isListening).toBe(false);
  } finally {
    await node.stop();
    rmSync(directory, { recursive: true });
  }
}, 30_000);
