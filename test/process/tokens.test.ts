import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { openRaftGroup, openRaftHost } from 'varlog/raft';
import { freeAddresses } from 'varlog/testing';
import { ROOT } from './local-processes.ts';
import { eventually, TestCluster, textsOf } from './processes.ts';

const OLD = 'old-token-0123456789abcdef';
const NEW = 'new-token-0123456789abcdef';
const STRANGE = 'strange-token-0123456789abcdef';

describe('a cluster whose nodes ask for access tokens', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-tokens-'));
  const file = join(folder, 'tokens');
  const write = (...tokens: string[]): void =>
    writeFileSync(file, `# of the cluster\n${tokens.join('\n')}\n`, { mode: 0o600 });
  const flags = ['--token-file', file];
  let cluster: TestCluster;

  beforeAll(async () => {
    write(OLD);
    cluster = await TestCluster.start(3, { flags, token: OLD });
  }, 60_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test.each([undefined, STRANGE])('refuses a client with the token %s at once', async (token) => {
    const started = performance.now();
    const connecting = Varlog.connect({ endpoints: cluster.endpoints, timeoutMs: 30_000, token });
    await expect(connecting).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('--token-file'),
    });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('is reached by the command with a file, by flag and by environment', () => {
    const args = [join(ROOT, 'dist/framework/node/cli.js'), 'status'];
    const run = (more: string[], env: object = {}) =>
      spawnSync(process.execPath, [...args, '--endpoints', cluster.endpoints[0]!, ...more], {
        encoding: 'utf8',
        timeout: 20_000,
        env: { ...process.env, ...env },
      });
    expect(run(flags)).toMatchObject({ status: 0 });
    expect(run([], { VARLOG_TOKEN_FILE: file })).toMatchObject({ status: 0 });
    expect(run([])).toMatchObject({ status: 2, stderr: expect.stringMatching(/UNAUTHENTICATED/) });
  }, 60_000);

  test('takes another token, node by node, while clients go on', async () => {
    const old = await Varlog.connect({ endpoints: cluster.endpoints, token: OLD });
    const topic = await old.createTopic({ logStreams: 2 });
    const written: string[] = [];
    const restartAll = async (...tokens: string[]): Promise<void> => {
      write(...tokens);
      for (const [i, node] of cluster.nodes.entries()) {
        await node.end('SIGTERM');
        node.start();
        const token = tokens[0]!;
        await eventually(async () => {
          await using varlog = await Varlog.connect({ endpoints: cluster.endpoints[i]!, token });
          await varlog.ready({ storageNodes: 3, timeoutMs: 5_000 });
        });
        written.push(`${tokens.join()} ${i}`);
        await topic.append(written.at(-1)!, { timeoutMs: 30_000 });
      }
    };
    await restartAll(OLD, NEW);
    await restartAll(NEW, OLD);
    const now = await Varlog.connect({ endpoints: cluster.endpoints, token: NEW });
    expect((await textsOf(now.topic(topic.id))).sort()).toEqual(written.sort());
    write(NEW);
    for (const node of cluster.nodes) {
      await node.end('SIGTERM');
      node.start();
    }
    await eventually(() => now.ready({ storageNodes: 3, timeoutMs: 5_000 }));
    await now.topic(topic.id).append('by the new one', { timeoutMs: 30_000 });
    // Who has not changed by then is told so, and not kept waiting.
    const late = topic.append('by the old one', { timeoutMs: 30_000 });
    await expect(late).rejects.toMatchObject({ code: 'UNAUTHENTICATED', outcome: 'notAppended' });
    await old.close();
    await now.close();
  }, 120_000);

  test('says nowhere what the tokens are', () => {
    for (const { output } of cluster.nodes)
      for (const token of [OLD, NEW, STRANGE]) expect(output).not.toContain(token);
  });
});

test('a node with another token than the cluster says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-tokens-'));
  const file = (name: string, token: string): string => {
    writeFileSync(join(folder, name), token, { mode: 0o600 });
    return join(folder, name);
  };
  const [one = '', http = ''] = await freeAddresses(2);
  await using cluster = await TestCluster.start(1, {
    flags: ['--token-file', file('right', OLD)],
    token: OLD,
  });
  const stray = cluster.processes.node(
    { 'node-id': 2, roles: 'storage', listen: one, http, directory: join(folder, 'two') },
    ['--members', `1=${cluster.endpoints[0]}`, '--token-file', file('wrong', STRANGE)],
  );
  stray.start();
  await eventually(async () => {
    const page = await (await fetch(`http://${http}/readyz`)).text();
    expect(page).toMatch(/UNAUTHENTICATED/);
    expect(page).not.toContain(STRANGE);
  });
  expect(stray.output).toMatch(/UNAUTHENTICATED/);
  expect(stray.output).not.toContain(STRANGE);
  rmSync(folder, { recursive: true });
}, 60_000);

test('the members of Raft groups let each other in by tokens', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-raft-tokens-'));
  const addresses = await freeAddresses(6);
  const membersAt = (from: number) =>
    addresses.slice(from, from + 3).map((address, i) => ({ id: i + 1, address }));
  const members = membersAt(0);
  const nodes = await Promise.all(
    members.map(({ id }) =>
      openRaftGroup({
        groupId: 'tokens',
        memberId: id,
        members,
        directory: join(folder, `${id}`),
        // In the middle of a change of tokens.
        tokens: id === 1 ? [OLD, NEW] : [NEW, OLD],
      }),
    ),
  );
  expect(await nodes[0]!.group.append([Buffer.from('hello')])).toBeGreaterThan(0);
  await Promise.all(nodes.map((it) => it.close()));

  const hosted = membersAt(3);
  const hosts = await Promise.all(
    hosted.map(({ id, address }) =>
      openRaftHost({ address, directory: join(folder, `host-${id}`), tokens: [OLD] }),
    ),
  );
  const groups = await Promise.all(
    hosts.map((host, i) => host.openGroup({ groupId: 'tokens', memberId: i + 1, members: hosted })),
  );
  expect(await groups[0]!.append([Buffer.from('hello')])).toBeGreaterThan(0);
  await Promise.all(hosts.map((it) => it.close()));
  rmSync(folder, { recursive: true });
}, 30_000);
