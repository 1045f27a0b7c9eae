import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './local-processes.ts';

test('a process that serves ends with the one that started it, also where that has gone before it was ready', async () => {
  const serving = pathToFileURL(join(ROOT, 'dist/apps/serving.js')).href;
  // What is under way keeps it alive until it is closed, as a server does.
  const program = `
    import { serveUntilStopped } from '${serving}';
    const alive = setInterval(() => {}, 1_000);
    while (process.connected) await new Promise((resolve) => setTimeout(resolve, 10));
    await serveUntilStopped(async () => ({
      failed: new Promise(() => {}),
      close: async () => clearInterval(alive),
    }));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  child.disconnect();
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  expect(await ended).toBe(0);
  clearTimeout(late);
}, 30_000);
