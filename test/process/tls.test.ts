import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TlsOptions, Varlog } from 'varlog/log';
import { openRaftGroup } from 'varlog/raft';
import { freeAddresses } from 'varlog/testing';
import { Authority } from '../../framework/runtime/certificates.fixture.ts';
import { ROOT } from './local-processes.ts';
import { TestCluster } from './processes.ts';

describe('a cluster whose nodes and clients show certificates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-tls-'));
  const authority = new Authority('ours');
  const { ca } = authority;
  const own = { ca, ...authority.issue('IP:127.0.0.1') };
  const files = {
    ca: join(folder, 'ca'),
    certificate: join(folder, 'cert'),
    key: join(folder, 'key'),
  };
  const flags = [
    '--tls-ca',
    files.ca,
    '--tls-certificate',
    files.certificate,
    '--tls-key',
    files.key,
  ];
  let cluster: TestCluster;

  beforeAll(async () => {
    for (const part of ['ca', 'certificate', 'key'] as const) writeFileSync(files[part], own[part]);
    cluster = await TestCluster.start(3, { tls: { flags, client: own } });
  }, 60_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    authority.remove();
    rmSync(folder, { recursive: true });
  });

  test('replicates, and serves those that hold one', async () => {
    const varlog = await cluster.connect();
    const topic = await varlog.createTopic({ logStreams: 2 });
    const { glsn } = await topic.append(['a', 'b']);
    const found: string[] = [];
    for await (const entry of topic.read({ from: 1, to: glsn })) found.push(entry.text());
    expect(found).toContain('a');
    await varlog.close();
  }, 30_000);

  test('is reached by the command with its files', () => {
    const args = [join(ROOT, 'dist/framework/node/cli.js'), 'status'];
    const run = (more: string[]) =>
      spawnSync(process.execPath, [...args, '--endpoints', cluster.endpoints[0]!, ...more], {
        encoding: 'utf8',
        timeout: 20_000,
      });
    expect(run(flags)).toMatchObject({ status: 0 });
    const without = run([]);
    expect(without.status).not.toBe(0);
    expect(without.stderr).toMatch(/TLS/);
  }, 60_000);

  test('is reached by a store whose write-ahead log is one of its topics', async () => {
    await using varlog = await cluster.connect();
    const { id } = await varlog.createTopic();
    const at = ['write', '--varlog', cluster.endpoints[0]!, '--topic', `${id}`];
    const directory = ['--directory', join(folder, 'wal')];
    const named = {
      VARLOG_TLS_CA: files.ca,
      VARLOG_TLS_CERTIFICATE: files.certificate,
      VARLOG_TLS_KEY: files.key,
    };
    const write = (env: object) =>
      spawnSync(process.execPath, [join(ROOT, 'dist/apps/wal/cli.js'), ...at, ...directory], {
        encoding: 'utf8',
        timeout: 20_000,
        input: 'put color blue\n',
        env: { ...process.env, ...env },
      });
    expect(write(named)).toMatchObject({
      stdout: expect.stringMatching(/^ready\nwritten at \d+\n$/),
    });
    expect(write({}).status).toBe(1);
  }, 60_000);

  test.each<[string, () => TlsOptions | undefined]>([
    ['no certificate', () => ({ ca })],
    [
      'one of another authority',
      () => {
        const strangers = new Authority('theirs');
        const shown = strangers.issue('IP:127.0.0.1');
        strangers.remove();
        return { ca, ...shown };
      },
    ],
    ['no TLS', () => undefined],
  ])('does not let in a client with %s', async (_, tls) => {
    const { endpoints } = cluster;
    const connecting = Varlog.connect({ endpoints, timeoutMs: 2_000, tls: tls() });
    await expect(connecting).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

test('the members of a Raft group speak TLS to each other', async () => {
  const authority = new Authority('ours');
  const tls = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
  authority.remove();
  const folder = mkdtempSync(join(tmpdir(), 'varlog-raft-tls-'));
  const members = (await freeAddresses(3)).map((address, i) => ({ id: i + 1, address }));
  const open = (memberId: number) =>
    openRaftGroup({
      groupId: 'tls',
      memberId,
      members,
      directory: join(folder, `${memberId}`),
      tls,
    });
  const nodes = await Promise.all(members.map(({ id }) => open(id)));
  expect(await nodes[0]!.group.append([Buffer.from('hello')])).toBeGreaterThan(0);
  await Promise.all(nodes.map((it) => it.close()));
  rmSync(folder, { recursive: true });
}, 30_000);
