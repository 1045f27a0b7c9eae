import { type RealCluster, startRealCluster } from '../../log/client/real-cluster.fixture.ts';
import { type Topic, Varlog } from '../../log/index.ts';
import { startReplica } from '../../smr/index.ts';
import { checkReplay, MemoryLog, readCapture } from '../../testing/index.ts';
import { varlog } from '../in-process-cli.fixture.ts';

let cluster: RealCluster;
let client: Varlog;
let topic: Topic;
beforeAll(async () => {
  cluster = await startRealCluster(1);
  client = await Varlog.connect(cluster.endpoint);
  await client.ready({ storageNodes: 1 });
  topic = await client.createTopic();
}, 30_000);
afterAll(async () => {
  await client.close();
  await cluster.close();
}, 30_000);

const run = (...args: string[]) => varlog(['--endpoints', cluster.endpoint, 'capture', ...args]);
const bytesOf = (out: string): Uint8Array => Buffer.from(out, 'latin1');

class Counter {
  value = 0;
  apply({ add }: { add: number }): number {
    this.value += add;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

test('a stretch of a topic is the input of a test: its commands, and a log with the same records', async () => {
  const counter = await startReplica({ machine: new Counter(), log: topic });
  for (const add of [1, 2, 3, 4, 5]) await counter.execute({ add });
  await counter.close();
  await topic.append('of somebody else', { key: 'k', headers: { shop: 'north' } });
  const id = String(topic.id);

  const all = await readCapture(bytesOf((await run(id, '--around', '3')).out));
  const commands = all.commands<{ add: number }>();
  expect(commands.map(({ add }) => add)).toEqual([1, 2, 3, 4, 5]);
  expect(all.commands({ name: 'another machine' })).toEqual([]);
  checkReplay(Counter, commands);

  const log = MemoryLog.from(all);
  await using replayed = await startReplica({ machine: new Counter(), log });
  expect(await replayed.query((it) => it.value)).toBe(15);
  expect(await replayed.execute({ add: 1 })).toBe(16);

  const part = await run(id, '--around', '5', '--records', '1');
  expect(part.err).toBe('captured 3 records, 4 to 6\n');
  const capture = await readCapture(bytesOf(part.out));
  expect([capture.first, capture.entries.map((it) => it.position)]).toEqual([4, [4, 5, 6]]);
  expect(capture.commands<{ add: number }>().map(({ add }) => add)).toEqual([3, 4, 5]);
  const records = MemoryLog.from(capture).records();
  const texts: [number, string][] = [];
  for await (const it of records.read()) texts.push([it.glsn, it.text().slice(-9)]);
  expect(texts.map(([glsn]) => glsn)).toEqual([4, 5, 6]);
  const behind = MemoryLog.from(await readCapture(bytesOf((await run(id, '--around', '7')).out)));
  for await (const { key, headers, glsn } of behind.records().read({ from: 7 })) {
    expect([glsn, key, headers.get('shop')]).toEqual([7, 'k', 'north']);
  }
  const short = startReplica({ machine: new Counter(), log: MemoryLog.from(capture) });
  await using cut = await short;
  await expect(cut.caughtUp()).rejects.toMatchObject({ code: 'TRIMMED' });
}, 60_000);

test('a stretch that is not there, and a file that is none, are refused', async () => {
  const id = String(topic.id);
  expect(await run(id, '--around', '500')).toMatchObject({
    code: 5,
    err: expect.stringContaining('BEYOND_TAIL'),
  });
  expect((await run(id)).code).toBe(2);
  expect((await run(id, '--around', '3', '--json')).err).toContain('leave it out');
  const { out } = await run(id, '--around', '3');
  await expect(readCapture(bytesOf(out.slice(0, -1)))).rejects.toMatchObject({ code: 'CORRUPT' });
  await expect(readCapture(bytesOf('a capture'))).rejects.toMatchObject({ code: 'CORRUPT' });
  await topic.trim(2);
  expect((await run(id, '--around', '1')).err).toContain('TRIMMED');
  const kept = await readCapture(bytesOf((await run(id, '--around', '3')).out));
  expect(kept.first).toBe(3);
}, 60_000);
