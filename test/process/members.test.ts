import { rmSync } from 'node:fs';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from './local-processes.ts';
import { eventually, TestCluster, textsOf, whole } from './processes.ts';

/** Runs the `varlog` command to its end: its exit code and what it wrote. */
async function varlogCommand(
  processes: LocalProcesses,
  endpoints: readonly string[],
  ...args: string[]
): Promise<{ code: number | null; output: string }> {
  const all = [...args, '--endpoints', endpoints.join(',')];
  const command = processes.program('framework/node/cli.js', all);
  command.start();
  const code = await command.ended();
  return { code, output: command.output };
}

async function append(varlog: Varlog, topicId: number, texts: readonly string[]): Promise<void> {
  for (const it of texts) await varlog.topic(topicId).append(it, { timeoutMs: 30_000 });
}

test('a member whose directory was emptied is replaced, and the cluster survives another one', async () => {
  await using cluster = await TestCluster.start(3);
  const { endpoints, processes, nodes } = cluster;
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 2 });
  await append(varlog, topic.id, ['a', 'b']);

  await nodes[1]!.end('SIGKILL');
  rmSync(cluster.folderOf(2), { recursive: true });
  nodes[1]!.start();
  // It is never taken for itself again: it may have voted.
  await eventually(async () => {
    const members = await varlog.members.list();
    expect(members.find((it) => it.id === 2)?.state).toBe('DISK_LOST');
  });
  await nodes[1]!.end('SIGKILL');

  const early = await varlogCommand(
    processes,
    endpoints,
    'member',
    'replace',
    '2',
    `4=${endpoints[1]}`,
  );
  expect(early).toMatchObject({ code: 3, output: expect.stringContaining('nothing was changed') });
  const renewed = processes.node({
    'node-id': 2,
    'member-id': 4,
    join: 'true',
    members: `1=${endpoints[0]},3=${endpoints[2]}`,
    listen: endpoints[1]!,
    directory: cluster.folderOf(2),
    'replication-factor': 3,
  });
  renewed.start();
  const replaced = await eventually(async () => {
    const result = await varlogCommand(
      processes,
      endpoints,
      'member',
      'replace',
      '2',
      `4=${endpoints[1]}`,
    );
    if (result.code !== 0) throw new Error(result.output);
    return result;
  });
  expect(replaced.output).toContain('votes in place of member 2');
  await eventually(async () => {
    const result = await varlogCommand(processes, endpoints, 'node', 'replace', '2');
    if (result.code !== 0) throw new Error(result.output);
  });
  await whole(varlog);
  expect(
    (await varlog.members.list()).map(({ id, votes, state }) => ({ id, votes, state })),
  ).toEqual([1, 3, 4].map((id) => ({ id, votes: true, state: 'up' })));

  // Two of three are left, and one of them is the new one.
  await nodes[0]!.end('SIGKILL');
  await append(varlog, topic.id, ['c', 'd']);
  // It was away, and is started with the list of before.
  nodes[0]!.start();
  await whole(varlog);
  await nodes[2]!.end('SIGKILL');
  await append(varlog, topic.id, ['e']);
  nodes[2]!.start();
  await whole(varlog);
  expect([...(await textsOf(topic))].sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
}, 300_000);

test('one node becomes three while it serves, one of them moves, and the first one leaves', async () => {
  await using processes = new LocalProcesses();
  const addresses = await freeAddresses(4);
  const [first, second, third, elsewhere] = addresses as [string, string, string, string];
  const start = (id: number, listen: string, more: Record<string, string>): Program => {
    const directory = processes.folder(`node-${id}`);
    const program = processes.node({ 'node-id': id, listen, directory, ...more });
    program.start();
    return program;
  };
  const run = (...args: string[]) => varlogCommand(processes, [first, second, third], ...args);
  const succeed = (...args: string[]): Promise<void> =>
    eventually(async () => {
      const { code, output } = await run(...args);
      if (code !== 0) throw new Error(output);
    }, 60_000);
  const one = start(1, first, {});
  await using varlog = await eventually(() => Varlog.connect({ endpoints: first }));
  await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });

  const join = { join: 'true', members: `1=${first}` };
  start(2, second, join);
  const three = start(3, third, join);
  await succeed('member', 'add', `2=${second}`);
  await succeed('member', 'add', `3=${third}`);
  await varlog.ready({ storageNodes: 3, timeoutMs: 30_000 });
  const topic = await varlog.createTopic({ logStreams: 1, replicationFactor: 3 });
  await append(varlog, topic.id, ['a']);

  // Elsewhere, with its folder. Nobody but itself is told.
  await three.end('SIGTERM');
  start(3, elsewhere, { members: `1=${first},3=${elsewhere}` });
  await succeed('member', 'move', `3=${elsewhere}`);
  await whole(varlog);
  const { code, output } = await run('member', 'list', '--json');
  expect({ code, output }).toMatchObject({ code: 0 });
  expect(JSON.parse(output)).toMatchObject([
    { id: 1, address: first, votes: true, state: 'up' },
    { id: 2, address: second, votes: true, state: 'up' },
    { id: 3, address: elsewhere, votes: true, state: 'up' },
  ]);

  await succeed('member', 'remove', '1');
  // It goes on as a storage node, which finds the others by what it remembers.
  await one.end('SIGKILL');
  one.start();
  await whole(varlog);
  await append(varlog, topic.id, ['b']);
  expect(await textsOf(topic)).toEqual(['a', 'b']);
  // Without a majority of the rest it may not be.
  await eventually(async () => {
    const { output } = await run('member', 'remove', '1');
    expect(output).toContain('NOT_FOUND');
  });
}, 300_000);
