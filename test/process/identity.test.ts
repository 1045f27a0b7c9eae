import { cpSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freeAddresses } from 'varlog/testing';
import { eventually, TestCluster, textsOf, whole } from './processes.ts';

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('nobody is taken for somebody else, on real processes and disks', () => {
  test('a metadata repository that was made anew deletes nothing, and its clients notice', async () => {
    await using cluster = await TestCluster.start(3);
    const folders = [1, 2, 3].map((it) => cluster.folderOf(it));
    await using varlog = await cluster.connect();
    const topic = await varlog.createTopic();
    for (let i = 1; i <= 20; i++) await topic.append(`record ${i}`);
    await cluster.killAll();
    for (const [i, it] of folders.entries()) {
      renameSync(join(it, `metadata-${i + 1}`), join(it, 'metadata-of-before'));
    }
    cluster.startAll();
    // Of one that reaches a node just before that gives up it is not known.
    await eventually(async () => {
      const append = await failure(topic.append('for whom?', { timeoutMs: 20_000 }));
      expect(append).toMatchObject({ code: 'CLUSTER_MISMATCH', outcome: 'notAppended' });
    });
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    for (const [i, it] of folders.entries()) {
      expect(readdirSync(join(it, `storage-${i + 1}`, 'replicas'))).toEqual(['1']);
      expect(cluster.nodes[i]!.output).toContain('CLUSTER_MISMATCH');
    }
    await cluster.killAll();
    for (const [i, it] of folders.entries()) {
      rmSync(join(it, `metadata-${i + 1}`), { recursive: true });
      renameSync(join(it, 'metadata-of-before'), join(it, `metadata-${i + 1}`));
    }
    cluster.startAll();
    await cluster.ready();
    expect(await textsOf(topic)).toHaveLength(20);
    await topic.append('and on');
  }, 120_000);

  test('an emptied storage node is refused, replaced by a command, and whole again', async () => {
    await using cluster = await TestCluster.start(3);
    await using varlog = await cluster.connect();
    const topic = await varlog.createTopic();
    for (let i = 1; i <= 20; i++) await topic.append(`record ${i}`);
    // A healthy disk is not given up by a mistake in a number.
    const mistaken = await failure(varlog.replaceStorageNode(2));
    expect(mistaken).toMatchObject({ code: 'FAILED_PRECONDITION', outcome: 'notAppended' });
    await whole(varlog);
    const emptied = cluster.nodes[1]!;
    await emptied.end('SIGKILL');
    rmSync(join(cluster.folderOf(2), 'storage-2'), { recursive: true });
    emptied.start();
    const command = await eventually(async () => {
      const [found] = /varlog node replace 2 --disk [\da-f-]+/.exec(emptied.output) ?? [];
      if (found === undefined) throw new Error(emptied.output);
      return found;
    });
    const [, ...args] = command.split(' ');
    const endpoints = ['--endpoints', cluster.endpoints.join(',')];
    const operator = cluster.processes.program('framework/node/cli.js', [...args, ...endpoints]);
    operator.start();
    expect(await operator.ended()).toBe(0);
    await whole(varlog);
    expect(existsSync(join(cluster.folderOf(2), 'storage-2', 'replicas', '1'))).toBe(true);
    expect(await textsOf(topic)).toHaveLength(20);
    await varlog.replaceStorageNode(2, { force: true });
    await eventually(async () => expect(emptied.output).toContain('was given up'));
  }, 120_000);

  test('a second process of a storage node waits while the first one lives', async () => {
    await using cluster = await TestCluster.start(3);
    await using varlog = await cluster.connect();
    const topic = await varlog.createTopic();
    await topic.append('a');
    const node = cluster.nodes[1]!;
    await node.end('SIGKILL');
    const copy = join(cluster.folderOf(2), 'copy');
    cpSync(join(cluster.folderOf(2), 'storage-2'), join(copy, 'storage-2'), {
      recursive: true,
      // A lock is a socket, which is of the machine and not of the folder.
      filter: (path) => !path.includes('LOCK'),
    });
    node.start();
    await cluster.ready();
    const [address] = await freeAddresses(1);
    const members = cluster.endpoints.map((it, i) => `${i + 1}=${it}`).join(',');
    const twin = cluster.processes.node({
      ...{ roles: 'storage', 'node-id': 2, listen: address! },
      ...{ members, directory: copy },
    });
    twin.start();
    await eventually(async () => {
      if (!twin.output.includes('another process is storage node 2')) throw new Error(twin.output);
    });
    for (let i = 0; i < 20; i++) await topic.append(`b ${i}`);
    await twin.end('SIGKILL');
    expect(await textsOf(topic)).toHaveLength(21);
  }, 120_000);

  test('a cluster on addresses that another one holds refuses it, and the other lives on', async () => {
    await using cluster = await TestCluster.start(1);
    await using varlog = await cluster.connect();
    const topic = await varlog.createTopic();
    await topic.append('a');
    const [second, third] = await freeAddresses(2);
    const members = [cluster.endpoints[0], second, third].map((it, i) => `${i + 1}=${it}`);
    const foreign = [second, third].map((listen, i) =>
      cluster.processes.node({
        ...{ 'node-id': i + 2, listen: listen!, members: members.join(',') },
        directory: join(cluster.folderOf(1), `foreign-${i}`),
      }),
    );
    for (const it of foreign) it.start();
    await eventually(async () => {
      if (!/(IDENTITY|CLUSTER)_MISMATCH/.test(foreign[0]!.output)) {
        throw new Error(foreign[0]!.output);
      }
    });
    await topic.append('b');
    for (const it of foreign) await it.end('SIGKILL');
    await topic.append('c');
    expect(await textsOf(topic)).toEqual(['a', 'b', 'c']);
    expect(cluster.nodes[0]!.output).not.toContain('INVARIANT');
  }, 120_000);
});
