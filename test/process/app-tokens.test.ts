import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeAddresses } from 'varlog/testing';
import { ROOT } from './local-processes.ts';
import { eventually, TestCluster } from './processes.ts';

const TOKEN = 'a-token-0123456789abcdef';
const STRANGE = 'strange-token-0123456789abcdef';

describe('sample services on a cluster, all of which ask for access tokens', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-app-tokens-'));
  const file = (name: string, token: string): string[] => {
    writeFileSync(join(folder, name), `${token}\n`, { mode: 0o600 });
    return ['--token-file', join(folder, name)];
  };
  const right = file('right', TOKEN);
  const wrong = file('wrong', STRANGE);
  const KV = 'apps/kv-store/cli.js';
  const LEDGER = 'apps/txn-log/cli.js';
  let cluster: TestCluster;
  let grpc = '';
  let kvHttp = '';
  let ledger = '';
  let transactions = '';

  const run = (path: string, args: readonly string[], env: object = {}) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, 'dist', path), ...args],
      { encoding: 'utf8', timeout: 30_000, env: { ...process.env, ...env } },
    );
    expect(`${stdout}${stderr}`).not.toMatch(`${TOKEN}|${STRANGE}`);
    return { status, stdout, stderr };
  };

  beforeAll(async () => {
    cluster = await TestCluster.start(1, { flags: right, token: TOKEN });
    const varlog = await cluster.connect();
    for (let i = 0; i < 4; i++) await varlog.createTopic();
    await varlog.close();
    [grpc = '', kvHttp = '', ledger = '', transactions = ''] = await freeAddresses(4);
    const start = (path: string, args: readonly string[], name: string, topic: string): void => {
      const log = ['--varlog', cluster.endpoints[0]!, '--topic', topic];
      const directory = ['--directory', cluster.processes.folder(name)];
      cluster.processes.program(path, [...args, ...log, ...directory, ...right]).start();
    };
    start(KV, ['serve', '--grpc', grpc, '--http', kvHttp], 'kv', '1');
    start(LEDGER, ['serve', '--http', ledger], 'ledger', '2');
    start(LEDGER, ['transactions', 'serve', '--http', transactions], 'transactions', '3');
    for (const http of [kvHttp, ledger, transactions]) {
      await eventually(async () => {
        const reply = await fetch(`http://${http}/readyz`);
        if (!reply.ok) throw new Error(await reply.text());
      });
    }
  }, 90_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('the key-value store', () => {
    const kv = ['--replicas', grpc];
    expect(run(KV, [...kv, 'put', 'a', '1', ...right]).status).toBe(0);
    const env = { VARLOG_TOKEN_FILE: right[1] };
    expect(run(KV, [...kv, 'get', 'a'], env)).toMatchObject({ status: 0, stdout: '1\n' });
    for (const other of [[], wrong])
      expect(run(KV, [...kv, 'get', 'a', ...other])).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/access token.*--token-file/),
      });
  }, 60_000);

  test('the ledger', () => {
    const ask = ['--ledger', ledger];
    expect(run(LEDGER, [...ask, 'open', 'bank', ...right]).status).toBe(0);
    expect(run(LEDGER, [...ask, 'balance', 'bank', ...right])).toMatchObject({ stdout: '0\n' });
    for (const other of [[], wrong])
      expect(run(LEDGER, [...ask, 'balance', 'bank', ...other])).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/UNAUTHENTICATED.*--token-file/),
      });
  }, 60_000);

  test('transactions', () => {
    const ask = ['transactions', '--service', transactions];
    expect(run(LEDGER, [...ask, 'set', 'a=1', ...right]).status).toBe(0);
    const got = run(LEDGER, [...ask, 'get', 'a', ...right]);
    expect(JSON.parse(got.stdout)).toEqual({ key: 'a', value: '1' });
    for (const other of [[], wrong])
      expect(run(LEDGER, [...ask, 'get', 'a', ...other])).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/UNAUTHENTICATED.*--token-file/),
      });
  }, 60_000);

  test('a store whose write-ahead log is a topic', () => {
    const at = ['--varlog', cluster.endpoints[0]!, '--topic', '4'];
    const write = ['write', ...at, '--directory', join(folder, 'wal')];
    expect(run('apps/wal/cli.js', [...write, ...right])).toMatchObject({ stdout: 'ready\n' });
    expect(run('apps/wal/cli.js', write)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/UNAUTHENTICATED/),
    });
  }, 60_000);

  test('a replica with a token that the cluster does not know does not start, and says so', () => {
    const { status, stderr } = run(KV, [
      ...['serve', '--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0'],
      ...['--varlog', cluster.endpoints[0]!, '--directory', join(folder, 'kv'), ...wrong],
    ]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/UNAUTHENTICATED/)]);
  }, 60_000);

  test('a warning comes where others could read the tokens', async () => {
    const address = (await freeAddresses(1))[0]!.replace('127.0.0.1', '0.0.0.0');
    const log = ['--varlog', cluster.endpoints[0]!, '--topic', '3'];
    const flags = ['transactions', 'serve', '--http', address, ...log, ...right];
    const directory = ['--directory', cluster.processes.folder('open')];
    const program = cluster.processes.program(LEDGER, [...flags, ...directory]);
    program.start();
    await eventually(async () =>
      expect(program.output).toContain(`warning: access tokens come to ${address} without TLS`),
    );
  }, 60_000);
});
