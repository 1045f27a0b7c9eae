import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalCluster } from 'varlog/node';
import { freeAddresses } from 'varlog/testing';
import { KvClient } from './client.ts';
import { type KvReplica, type KvReplicaOptions, startKvReplica } from './replica.ts';

let root: string;
let grpc: string;
let peer: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'varlog-kv-'));
  [grpc, peer] = (await freeAddresses(2)) as [string, string];
});
afterEach(() => rmSync(root, { recursive: true }));

const onRaft = (): KvReplicaOptions => ({
  grpc,
  http: '127.0.0.1:0',
  directory: root,
  log: { kind: 'raft', memberId: 1, members: [{ id: 1, address: peer }] },
});

async function ready({ http }: KvReplica): Promise<void> {
  while ((await fetch(`http://${http}/readyz`)).status !== 200) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts a replica, asks its servers, and ends it. */
async function ask<T>(
  options: KvReplicaOptions,
  question: (client: KvClient, http: string) => Promise<T>,
): Promise<T> {
  const replica = await startKvReplica(options);
  const client = new KvClient([grpc]);
  try {
    await ready(replica);
    return await question(client, replica.http);
  } finally {
    client.close();
    await replica.close();
  }
}

test('on Raft: serves over both protocols, tells its figures, and keeps what it was told', async () => {
  const metrics = await ask(onRaft(), async (client, http) => {
    await client.put('a', '1');
    await fetch(`http://${http}/kv/b`, { method: 'PUT', body: '2' });
    return (await fetch(`http://${http}/metrics`)).text();
  });
  expect(metrics).toMatch(/^kv_keys 2$/m);
  expect(metrics).toMatch(/^kv_history_changes 2$/m);
  const values = await ask(onRaft(), async (_, http) => [
    await (await fetch(`http://${http}/kv/a`)).text(),
    await (await fetch(`http://${http}/kv/b`)).text(),
  ]);
  expect(values).toEqual(['1', '2']);
}, 60_000);

test('on a topic: two replicas of one store', async () => {
  const [one = '', http = '', other = ''] = await freeAddresses(3);
  const portOf = (it: string): number => Number(it.split(':')[1]);
  const cluster = await startLocalCluster({
    nodes: 1,
    port: portOf(one),
    httpPort: portOf(http),
    directory: join(root, 'cluster'),
    logStreams: 1,
    progress: () => {},
  });
  const log = { kind: 'topic', endpoints: one, topic: 1 } as const;
  const common = { http: '127.0.0.1:0', log };
  const first = await startKvReplica({ ...common, grpc, directory: join(root, '1') });
  const second = await startKvReplica({ ...common, grpc: other, directory: join(root, '2') });
  try {
    await Promise.all([ready(first), ready(second)]);
    await fetch(`http://${first.http}/kv/a`, { method: 'PUT', body: 'x' });
    expect(await (await fetch(`http://${second.http}/kv/a`)).text()).toBe('x');
  } finally {
    await first.close();
    await second.close();
    await cluster.close();
  }
}, 60_000);

test('an address that is taken fails the start as a whole: everything is free again', async () => {
  const options = onRaft();
  await ask(options, async (_, http) => {
    const [free = '', otherPeer = ''] = await freeAddresses(2);
    const log = { ...options.log, members: [{ id: 1, address: otherPeer }] } as never;
    const other = { ...options, log, directory: join(root, 'other') };
    const taken = { code: 'ADDRESS_IN_USE' };
    // At the end of the start, in its middle, and in the folder of the first.
    await expect(startKvReplica({ ...other, grpc: free, http })).rejects.toMatchObject(taken);
    await expect(startKvReplica(other)).rejects.toMatchObject(taken);
    await expect(startKvReplica({ ...options, log, grpc: free })).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
    });
    // It would be refused if any of them had left something behind.
    const after = await startKvReplica({ ...other, grpc: free });
    await after.close();
  });
}, 60_000);
