import { type Topic, Varlog, VarlogError } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses } from './local-processes.ts';
import { eventually, textsOf } from './processes.ts';

/** A busy machine is waited for. */
const LONG_MS = 200_000;

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

/** Appends one record after the other until it is stopped; what was acknowledged, by GLSN. */
class Writer implements AsyncDisposable {
  readonly acknowledged = new Map<number, string>();
  private stopped = false;
  private readonly done: Promise<void>;

  constructor(topic: Topic) {
    this.done = this.run(topic);
  }

  stop(): Promise<void> {
    this.stopped = true;
    return this.done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async run(topic: Topic): Promise<void> {
    for (let i = 0; !this.stopped; i++) {
      try {
        const { glsn } = await topic.append(`record ${i}`, { timeoutMs: 20_000 });
        this.acknowledged.set(glsn, `record ${i}`);
      } catch (error) {
        if (!VarlogError.is(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

test('a node is drained beside appends and a node that is killed, removed, and the rest is whole', async () => {
  await using processes = new LocalProcesses();
  const addresses = await freeAddresses(3);
  const [first] = addresses as [string, string, string];
  const run = (...args: string[]) => varlogCommand(processes, [first], ...args);
  const nodes = addresses.map((listen, i) => {
    const roles = i === 0 ? 'metadata,storage' : 'storage';
    const of = { members: `1=${first}`, directory: processes.folder(`${i + 1}`) };
    return processes.node({ 'node-id': i + 1, listen, roles, 'replication-factor': 2, ...of });
  });
  processes.startAll();
  await using varlog = await eventually(() => Varlog.connect({ endpoints: first }), LONG_MS);
  await varlog.ready({ storageNodes: 3, timeoutMs: LONG_MS });
  const topic = await varlog.createTopic({ logStreams: 3 });
  await using writer = new Writer(topic);
  await eventually(async () => expect(writer.acknowledged.size).toBeGreaterThan(20), LONG_MS);
  const deleted = await varlog.createTopic({ logStreams: 3 });
  for (let i = 1; i <= 9; i++) await deleted.append(`kept ${i}`, { timeoutMs: 20_000 });
  await eventually(async () => {
    const { topics } = await varlog.status();
    const streams = topics.find((it) => it.id === deleted.id)!.logStreams;
    expect(streams.map((it) => it.inSync)).toEqual([2, 2, 2]);
  }, LONG_MS);
  await eventually(() => varlog.deleteTopic(deleted.id), LONG_MS);

  await eventually(() => varlog.drainStorageNode(2), LONG_MS);
  // Who carries the drain out ends, and goes on with it by what it finds on its disk.
  await nodes[0]!.end('SIGKILL');
  nodes[0]!.start();
  await eventually(() => varlog.status(), LONG_MS);
  const drained = await run('node', 'drain', '2', '--wait', '200');
  expect(drained).toMatchObject({ code: 0, output: expect.stringContaining('node 2 is drained') });
  await eventually(async () => {
    for (const { replicas, inSync } of (await varlog.status()).topics[0]!.logStreams) {
      expect(replicas.map(({ node }) => node).sort()).toEqual([1, 3]);
      expect(inSync).toBe(2);
    }
  }, LONG_MS);
  const listed = await run('node', 'list');
  expect(listed.output).toMatch(/2 .*up, drained +0 +0/);

  // Two are left, and two replicas need two: that is said, and nothing is given up.
  const blocked = await run('node', 'drain', '3', '--wait', '2');
  expect(blocked).toMatchObject({
    code: 1,
    output: expect.stringContaining('2 replicas need 2 nodes that are up and not drained'),
  });
  expect(await run('node', 'remove', '3')).toMatchObject({
    code: 5,
    output: expect.stringContaining('FAILED_PRECONDITION'),
  });
  expect(await run('node', 'drain', '3', '--cancel')).toMatchObject({ code: 0 });

  expect(await run('node', 'remove', '2')).toMatchObject({ code: 0 });
  await nodes[1]!.end('SIGKILL');
  // What the other nodes keep of a deleted topic is enough to bring it back.
  const restored = await run('topic', 'restore', `${deleted.id}`);
  expect(restored).toEqual({ code: 0, output: expect.stringContaining('is back') });
  await deleted.append('kept 10', { timeoutMs: LONG_MS });
  const kept = Array.from({ length: 10 }, (_, i) => `kept ${i + 1}`);
  expect(await textsOf(deleted)).toEqual(kept);
  const before = writer.acknowledged.size;
  await eventually(
    async () => expect(writer.acknowledged.size).toBeGreaterThan(before + 20),
    LONG_MS,
  );
  await writer.stop();
  const texts = await textsOf(topic);
  for (const [glsn, text] of writer.acknowledged) expect(texts[glsn - 1]).toBe(text);
}, 600_000);

test('one node of "varlog up" becomes three, and its records survive it, at their positions', async () => {
  await using processes = new LocalProcesses();
  const [first, second, third, http] = (await freeAddresses(4)) as [string, string, string, string];
  const portOf = (address: string): string => address.split(':')[1]!;
  const folder = processes.folder('up');
  const flags = ['--port', portOf(first), '--http-port', portOf(http), '--directory', folder];
  const up = processes.program('framework/node/cli.js', ['up', '-n', '1', ...flags]);
  up.start();
  const endpoints = [first, second, third];
  const run = (...args: string[]) => varlogCommand(processes, endpoints, ...args);
  const succeed = (...args: string[]): Promise<void> =>
    eventually(async () => {
      const { code, output } = await run(...args);
      if (code !== 0) throw new Error(output);
    }, LONG_MS);
  await using varlog = await eventually(() => Varlog.connect({ endpoints }), LONG_MS);
  const topic = varlog.topic(1);
  await eventually(() => topic.append('record 0'), LONG_MS);
  await using writer = new Writer(topic);

  for (const [i, listen] of [second, third].entries()) {
    const id = i + 2;
    const join = { join: 'true', members: `1=${first}`, directory: processes.folder(`${id}`) };
    processes.node({ 'node-id': id, listen, 'replication-factor': 3, ...join }).start();
    await succeed('member', 'add', `${id}=${listen}`);
  }
  await succeed('topic', 'update', '1', '--replicas', '3');
  await eventually(async () => {
    for (const { inSync, replicationFactor } of (await varlog.status()).topics[0]!.logStreams) {
      expect({ inSync, replicationFactor }).toEqual({ inSync: 3, replicationFactor: 3 });
    }
  }, LONG_MS);

  await up.end('SIGKILL');
  const before = writer.acknowledged.size;
  await eventually(
    async () => expect(writer.acknowledged.size).toBeGreaterThan(before + 20),
    60_000,
  );
  await writer.stop();
  const texts = await textsOf(topic);
  expect(texts[0]).toBe('record 0');
  for (const [glsn, text] of writer.acknowledged) expect(texts[glsn - 1]).toBe(text);
}, 600_000);
