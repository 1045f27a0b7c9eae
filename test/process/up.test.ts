import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { Authority } from '../../framework/runtime/certificates.fixture.ts';
import { ROOT } from './local-processes.ts';

const CLI = join(ROOT, 'dist/framework/node/cli.js');

describe('varlog up', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-up-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A range of ports that nobody listens on: gRPC from `port` on, health from `port + 10` on. */
  const freeRange = async (): Promise<number> => {
    const [address] = await freeAddresses(1);
    return Number(address!.split(':')[1]);
  };
  const up = (port: number, directory: string): string[] => [
    ...[CLI, 'up', '--nodes', '3', '--port', `${port}`, '--http-port', `${port + 10}`],
    ...['--directory', directory],
  ];

  test('starts nothing when one of its ports is taken, and names each', async () => {
    const port = await freeRange();
    const directory = join(folder, 'taken');
    const strangers = [port + 1, port + 12].map((it) => createServer().listen(it, '127.0.0.1'));
    await Promise.all(
      strangers.map((it) => new Promise((resolve) => it.once('listening', resolve))),
    );
    const { status, stderr } = spawnSync(process.execPath, up(port, directory), {
      encoding: 'utf8',
      timeout: 60_000,
    });
    for (const it of strangers) it.close();
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('ADDRESS_IN_USE'),
    });
    expect(stderr).toContain(`127.0.0.1:${port + 1}, 127.0.0.1:${port + 12}`);
    expect(stderr).toContain('--http-port');
    expect(stderr).not.toContain('starting node');
    expect(existsSync(directory)).toBe(false);
  }, 60_000);

  test('is told when its own ports overlap', () => {
    const overlapping = [CLI, 'up', '--nodes', '3', '--port', '9200', '--http-port', '9202'];
    const { status, stderr } = spawnSync(process.execPath, overlapping, { encoding: 'utf8' });
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('twice'),
    });
  }, 30_000);

  test('is not ready when another cluster answers than the one of its folder', async () => {
    const port = await freeRange();
    const directory = join(folder, 'another');
    const one = [CLI, 'up', '--port', `${port}`, '--http-port', `${port + 10}`];
    const start = async (): Promise<{ out: string; code: unknown }> => {
      const child = spawn(process.execPath, [...one, '--directory', directory]);
      let out = '';
      const hear = (text: Buffer): void => {
        const wasReady = out.includes('ready: ');
        out += text;
        if (!wasReady && out.includes('ready: ')) child.kill('SIGTERM');
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      return { code: await new Promise((resolve) => child.once('exit', resolve)), out };
    };
    expect((await start()).code).toBe(0);
    // Its metadata is lost, and would be made anew.
    rmSync(join(directory, 'node-1'), { recursive: true });
    const again = await start();
    expect(again).toEqual({ code: 5, out: expect.stringContaining('CLUSTER_MISMATCH') });
    expect(again.out).not.toContain('ready: ');
  }, 60_000);

  test.each(['flags', 'environment'])(
    'nodes speak TLS by files that the %s names',
    async (by) => {
      const authority = new Authority('ours');
      const own = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
      authority.remove();
      const files = Object.entries(own).map(([part, pem]) => {
        const file = join(folder, `${by}-${part}`);
        writeFileSync(file, pem);
        return [part, file] as const;
      });
      const flags = files.flatMap(([part, file]) => [`--tls-${part}`, file]);
      const named = files.map(([part, file]) => [`VARLOG_TLS_${part.toUpperCase()}`, file]);
      const port = await freeRange();
      const args = [...up(port, join(folder, by)), ...(by === 'flags' ? flags : [])];
      const env = { ...process.env, ...(by === 'environment' && Object.fromEntries(named)) };
      const child = spawn(process.execPath, args, { env });
      const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
      let output = '';
      child.stderr.on('data', (text: Buffer) => {
        output += text;
      });
      const ready = new Promise<void>((resolve) => {
        child.stdout.on('data', (text: Buffer) => {
          output += text;
          if (output.includes('Ctrl-C')) resolve();
        });
      });
      await Promise.race([ready, ended]);
      await using varlog = await Varlog.connect({ endpoints: `127.0.0.1:${port}`, tls: own });
      expect(await varlog.topic(1).append('let in')).toMatchObject({ glsn: 1 });
      const told = by === 'flags' ? ` ${flags.join(' ')}\n` : '';
      expect(output).toContain(`--endpoints 127.0.0.1:${port}${told}`);
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
    },
    90_000,
  );

  test('Ctrl-C during the start ends it, and starts nothing again', async () => {
    const port = await freeRange();
    // As a terminal does it: the signal goes to all processes of the group.
    const child = spawn(process.execPath, up(port, join(folder, 'interrupted')), {
      detached: true,
    });
    let output = '';
    const interrupted = new Promise<void>((resolve) => {
      const hear = (text: Buffer): void => {
        output += text;
        if (output.includes('waiting for')) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
    });
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    await interrupted;
    process.kill(-child.pid!, 'SIGINT');
    expect(await ended).toBe(0);
    expect(output).not.toContain('starting it again');
    expect(output).not.toContain('ready:');
  }, 60_000);
});
