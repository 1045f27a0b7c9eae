import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program, ROOT } from './local-processes.ts';
import { eventually, TestCluster } from './processes.ts';

/** Supervises a process, and takes its time to stop, as whoever closes other things first. */
const SUPERVISOR = `
const { superviseNode } = await import(process.argv[1]);
const node = superviseNode({
  command: process.execPath,
  args: ['-e', 'setInterval(() => {}, 1000); process.on("disconnect", () => process.exit())'],
  directory: process.argv[2],
  now: () => performance.now(),
  ended: (how, again) => console.log('ended', how, again),
});
process.on('SIGINT', async () => {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await node.stop();
  console.log('stopped');
  process.exit();
});
console.log('node', node.pid);
`;

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('a supervised node', () => {
  const module = pathToFileURL(join(ROOT, 'dist/framework/node/child-node.js')).href;
  const directory = mkdtempSync(join(tmpdir(), 'varlog-interrupt-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function supervise() {
    const args = ['--input-type=module', '-e', SUPERVISOR, module, directory];
    // A process group of its own, as a shell makes one for each command.
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const pid = await eventually(async () => Number(/node (\d+)\n/.exec(output)![1]));
    return { child, exit, pid, output: () => output };
  }

  test('is not started again when Ctrl-C in the shell ends all of it', async () => {
    const { child, exit, pid, output } = await supervise();
    // To the whole group, as a terminal does.
    process.kill(-child.pid!, 'SIGINT');
    expect(await exit).toBe(0);
    expect(output()).toBe(`node ${pid}\nstopped\n`);
    expect(isRunning(pid)).toBe(false);
  });

  test('does not outlive its supervisor', async () => {
    const { child, pid } = await supervise();
    child.kill('SIGKILL');
    await eventually(async () => {
      if (isRunning(pid)) throw new Error(`${pid} still runs`);
    });
  });
});

test('a node ends in order when its terminal is closed', async () => {
  await using processes = new LocalProcesses();
  const node = processes.node({
    listen: '127.0.0.1:0',
    directory: processes.folder('data'),
    'log-level': 'info',
  });
  node.start();
  await eventually(async () => expect(node.output).toContain('"node started"'));
  process.kill(node.pid, 'SIGHUP');
  expect(await node.ended()).toBe(0);
});

test('a node ends in order beside one that stands still, also when it is told twice', async () => {
  await using cluster = await TestCluster.start(2);
  const [one, other] = cluster.nodes as [Program, Program];
  other.signal('SIGSTOP');
  // As from the terminal, and from npx, which passes it on.
  process.kill(one.pid, 'SIGINT');
  process.kill(one.pid, 'SIGTERM');
  expect(await one.ended()).toBe(0);
  expect(one.output).not.toMatch(/"level":"error"|Warning/);
}, 60_000);

test('a replica of a service ends in order though a client of it stands still', async () => {
  await using processes = new LocalProcesses();
  const [grpc, raft] = (await freeAddresses(2)) as [string, string];
  const directory = processes.folder('kv');
  const flags = { grpc, http: '127.0.0.1:0', directory, raft: `1=${raft}` };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const replica = processes.program('apps/kv-store/cli.js', ['serve', ...args]);
  replica.start();
  await eventually(async () => expect(replica.output).toContain('serving'));
  const [host, port] = grpc.split(':');
  // Its machine takes what comes, and it never answers.
  const client = connect({ host, port: Number(port), allowHalfOpen: true });
  client.on('error', () => {});
  await once(client, 'connect');
  process.kill(replica.pid, 'SIGTERM');
  expect(await replica.ended()).toBe(0);
  client.destroy();
}, 60_000);
