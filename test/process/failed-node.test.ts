import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from './local-processes.ts';
import { eventually } from './processes.ts';

const processes = new LocalProcesses();
const directory = processes.folder('data');

// Also of a test whose time is up.
afterAll(() => processes[Symbol.asyncDispose]());

test('a server whose only role failed for good ends, and says so in its log and by its exit code', async () => {
  const [metadata, storage] = (await freeAddresses(2)) as [string, string];
  const server = (listen: string, role: string): Program =>
    processes.node({ listen, roles: role, members: `1=${metadata}`, directory });
  const failing = server(storage, 'storage');
  server(metadata, 'metadata');
  processes.startAll();
  await using varlog = await Varlog.connect({ endpoints: metadata, timeoutMs: 20_000 });
  await varlog.ready({ storageNodes: 1 });
  // What stands in the place of the folder now is none: no replica can be kept there.
  renameSync(join(directory, 'storage-1'), join(directory, 'moved'));
  writeFileSync(join(directory, 'storage-1'), '');
  varlog.createTopic().catch(() => {});
  // Whichever it is that notices first: who opens the replica, or who watches over the folder.
  await eventually(async () => expect(failing.output).toMatch(/cannot be opened|taken away/));
  // Whoever made the topic would take it away again, since it cannot be opened.
  await varlog.close();
  expect(await failing.ended()).toBe(74);
  const lines = failing.output.trim().split('\n');
  expect(lines.map((it) => JSON.parse(it) as unknown)).toContainEqual(
    expect.objectContaining({
      level: 'error',
      event: 'a role of this node failed',
      role: 'storage',
    }),
  );
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    level: 'error',
    event: 'all roles of this node failed: start it again',
    code: 'NODE_FAILED',
    message: expect.stringMatching(/replicas of this storage node failed|taken away from under/),
  });
}, 90_000);

test('a mistake in the program ends a server with a line of its log that says so', async () => {
  const [address] = (await freeAddresses(1)) as [string];
  // Once the server is there that is to hear of it.
  const mistake = `const looks = setInterval(() => {
    if (process.listenerCount('uncaughtException') === 0) return;
    clearInterval(looks);
    Promise.reject(new Error('never thought of'));
  }, 50)`;
  const flags = {
    listen: address,
    members: `1=${address}`,
    directory: processes.folder('mistake'),
  };
  const server = processes.node(flags, [], {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(mistake)}`,
  });
  server.start();
  expect(await server.ended()).toBe(70);
  expect(JSON.parse(server.output.trim().split('\n').at(-1)!)).toMatchObject({
    level: 'error',
    event: expect.stringContaining('a mistake in this program'),
    code: 'INTERNAL',
    error: { message: 'never thought of', stack: expect.any(String) },
  });
}, 60_000);

test('a process that may open no more files takes no appends, and goes on by itself when it may', async () => {
  const [address] = (await freeAddresses(1)) as [string];
  const members = `1=${address}`;
  const server = processes.node({ listen: address, members, directory: processes.folder('few') });
  server.start();
  await using varlog = await Varlog.connect({ endpoints: address, timeoutMs: 20_000 });
  await varlog.ready({ storageNodes: 1 });
  const topic = await varlog.createTopic();
  const limitFiles = (count: number): void => {
    execFileSync('prlimit', ['--pid', String(server.pid), `--nofile=${count}:`]);
  };
  await topic.append('its commit is still to be written');
  // What is open stays so, and the file of the commits is not yet.
  limitFiles(3);
  await eventually(async () => expect(server.output).toMatch(/no room.*too many files are open/));
  limitFiles(1_000);
  await eventually(async () => void (await topic.append('goes on')));
  expect(server.output).not.toContain('failed');
}, 60_000);
