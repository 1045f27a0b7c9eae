import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LISTENING, superviseNode } from './child-node.ts';

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
