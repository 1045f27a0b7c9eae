import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { lockDirectory } from './directory-lock.ts';

const FLAG = 'LOCK/0123456789abcdef';

/** The lock as another process would load it: with no memory of what this one holds. */
function stranger(): typeof lockDirectory {
  let loaded!: typeof lockDirectory;
  jest.isolateModules(() => {
    loaded = require('./directory-lock.ts').lockDirectory;
  });
  return loaded;
}

describe('the lock of a folder', () => {
  let directory: string;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varlog-lock-'));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await rm(directory, { recursive: true });
  });

  /** A process that holds the folder as this package does. */
  async function holder(backlog = 511): Promise<ChildProcess> {
    await mkdir(join(directory, 'LOCK'));
    const program = `require('net').createServer().listen({ path: '${FLAG}', backlog: ${backlog} }, () => console.log('held'))`;
    const child = spawn(process.execPath, ['-e', program], { cwd: directory });
    children.push(child);
    await once(child.stdout!, 'data');
    return child;
  }

  test('holds against another process, even one that is stopped', async () => {
    const child = await holder();
    await expect(stranger()(directory)).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
      message: expect.stringContaining(directory),
    });
    child.kill('SIGSTOP');
    await expect(stranger()(directory)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
  });

  test('holds also when nobody gets an answer any more', async () => {
    const child = await holder(1);
    child.kill('SIGSTOP');
    const callers = Array.from({ length: 10 }, () => connect(join(directory, FLAG)));
    for (const caller of callers) caller.on('error', () => {});
    await expect(stranger()(directory)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    for (const caller of callers) caller.destroy();
  });

  test('dies with its process, and leaves nothing behind', async () => {
    const child = await holder();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await readdir(join(directory, 'LOCK'))).toEqual([FLAG.slice(5)]);
    const lock = await stranger()(directory);
    await lock.release();
    expect(await readdir(join(directory, 'LOCK'))).toEqual([]);
  });

  test('never has two holders, however many try at once and let go again', async () => {
    let holders = 0;
    let most = 0;
    let taken = 0;
    const compete = async (): Promise<void> => {
      const lockOnce = stranger();
      for (let i = 0; i < 5; i++) {
        const lock = await lockOnce(directory).catch(() => undefined);
        if (lock === undefined) continue;
        taken++;
        most = Math.max(most, ++holders);
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
        await lock.release();
      }
    };
    await Promise.all(Array.from({ length: 6 }, compete));
    expect(taken).toBeGreaterThan(0);
    expect(most).toBe(1);
  });

  test('works in a folder whose path is longer than a socket may have', async () => {
    const deep = join(directory, 'x'.repeat(100), 'y'.repeat(100));
    await mkdir(deep, { recursive: true });
    const lock = await stranger()(deep);
    await expect(stranger()(deep)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await lock.release();
    await (await stranger()(deep)).release();
  });

  test('is given back also where its flag cannot be removed', async () => {
    const lock = await stranger()(directory);
    // As on a disk that takes no more writes: a folder in the place of the flag, which is not removed as a file.
    const [flag] = await readdir(join(directory, 'LOCK'));
    await rm(join(directory, 'LOCK', flag!));
    await mkdir(join(directory, 'LOCK', flag!));
    await lock.release();
    await rm(join(directory, 'LOCK', flag!), { recursive: true });
    await (await stranger()(directory)).release();
  });

  test('a second release does not take the lock from its next holder', async () => {
    const lockHere = stranger();
    const first = await lockHere(directory);
    await first.release();
    const second = await lockHere(directory);
    await first.release();
    await expect(lockHere(directory)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await second.release();
  });
});
