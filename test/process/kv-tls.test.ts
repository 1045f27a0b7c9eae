import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeAddresses } from 'varlog/testing';
import { describeWith } from '../../apps/kv-store/etcd/etcd.fixture.ts';
import { Authority } from '../../framework/runtime/certificates.fixture.ts';
import { LocalProcesses, ROOT } from './local-processes.ts';
import { eventually } from './processes.ts';

describe('a key-value store whose replicas show certificates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-kv-tls-'));
  const processes = new LocalProcesses();
  const authority = new Authority('ours');
  const own = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
  const path = (name: keyof typeof own): string => join(folder, name);
  const files = {
    VARLOG_TLS_CA: path('ca'),
    VARLOG_TLS_CERTIFICATE: path('certificate'),
    VARLOG_TLS_KEY: path('key'),
  };
  let grpc = '';

  beforeAll(async () => {
    for (const part of ['ca', 'certificate', 'key'] as const) writeFileSync(path(part), own[part]);
    const [address = '', http = '', peer = ''] = await freeAddresses(3);
    grpc = address;
    const flags = [
      ...['serve', '--grpc', grpc, '--http', http, '--raft', `1=${peer}`, '--member', '1'],
      ...['--directory', processes.folder('kv')],
    ];
    processes.program('apps/kv-store/cli.js', flags, files).start();
    await eventually(async () => {
      const reply = await fetch(`http://${http}/readyz`);
      if (!reply.ok) throw new Error(await reply.text());
    });
  }, 60_000);
  afterAll(async () => {
    await processes[Symbol.asyncDispose]();
    authority.remove();
    rmSync(folder, { recursive: true });
  });

  test('serves its command with a certificate, and nobody without one', () => {
    const run = (env: object, ...args: string[]) =>
      spawnSync(
        process.execPath,
        [join(ROOT, 'dist/apps/kv-store/cli.js'), '--replicas', grpc, ...args],
        { encoding: 'utf8', timeout: 20_000, env: { ...process.env, ...env } },
      );
    expect(run(files, 'put', 'a', '1')).toMatchObject({ status: 0 });
    expect(run(files, 'get', 'a')).toMatchObject({ status: 0, stdout: '1\n' });
    expect(run({}, 'get', 'a').status).not.toBe(0);
  }, 60_000);

  test.each([
    ['1=127.0.0.1:1,two', '1', /INVALID_ARGUMENT: "two" is no member of a Raft group.*--raft 1=/],
    ['1=127.0.0.1:1,2=127.0.0.1:2', '3', /--member is 3, and --raft names the members 1, 2/],
    ['1=127.0.0.1:1', 'x', /--member is x, and --raft names the members 1/],
  ])('does not start as a group of %s and member %s', (raft, member, message) => {
    const flags = ['serve', '--raft', raft, '--member', member];
    const run = spawnSync(
      process.execPath,
      [join(ROOT, 'dist/apps/kv-store/cli.js'), ...flags, '--directory', processes.folder('none')],
      { encoding: 'utf8', timeout: 20_000 },
    );
    expect([run.status, run.stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  describeWith('etcdctl', 'with etcdctl', () => {
    const etcdctl = (...args: string[]): string =>
      execFileSync('etcdctl', ['--endpoints', `https://${grpc}`, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ETCDCTL_API: '3' },
      });

    test('serves it likewise', () => {
      const shown = ['--cert', path('certificate'), '--key', path('key')];
      const trusted = ['--cacert', path('ca')];
      expect(etcdctl(...trusted, ...shown, 'put', 'b', '2')).toBe('OK\n');
      const limits = ['--dial-timeout', '1s', '--command-timeout', '1s'];
      expect(() => etcdctl(...trusted, ...limits, 'get', 'b')).toThrow('Error');
    });
  });
});
