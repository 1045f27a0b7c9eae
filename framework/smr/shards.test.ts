import { MemoryLog } from '../testing/memory-log.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { type StateMachine, shardOf, startShards } from './index.ts';

interface Add {
  readonly key: string;
  readonly add: number;
}

/** Adds to the number under a key. */
class Sums implements StateMachine<Add, number, [string, number][]> {
  sums = new Map<string, number>();
  readonly rules = 2;
  apply({ key, add }: Add): number {
    const sum = (this.sums.get(key) ?? 0) + add;
    this.sums.set(key, sum);
    return sum;
  }
  fork(): Sums {
    return Object.assign(new Sums(), { sums: new Map(this.sums) });
  }
  snapshot(): [string, number][] {
    return [...this.sums];
  }
  restore(sums: [string, number][]): void {
    this.sums = new Map(sums);
  }
}

const memoryLogs = (count: number): MemoryLog[] =>
  Array.from({ length: count }, () => new MemoryLog());
const keyOf = ({ key }: Add): string => key;
const start = (logs: MemoryLog[], options: { name?: string } = {}) =>
  startShards({ logs, machine: () => new Sums(), keyOf, ...options });
const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`);

test('the shard of a key is the same for ever', () => {
  const found = ['', 'a', 'key 1', 'Grüße', '会計'].map((it) => shardOf(it, 7));
  // As another implementation of FNV-1a gives them.
  expect(found).toEqual([2, 5, 6, 5, 6]);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 4_000; i++) counts[shardOf(`user ${i}`, 4)]!++;
  for (const it of counts) expect(Math.abs(it - 1_000)).toBeLessThan(150);
});

test('each key has its shard, every command takes effect once, and all processes agree', async () => {
  const logs = memoryLogs(4);
  await using one = await start(logs);
  await using other = await start(logs);
  await Promise.all(
    keys.flatMap((key) => [
      one.execute({ key, add: 1 }),
      other.execute({ key, add: 10 }),
      one.execute({ key, add: 100 }, { requestId: `once ${key}` }),
      other.execute({ key, add: 100 }, { requestId: `once ${key}` }),
    ]),
  );
  for (const key of keys) {
    for (const it of [one, other]) expect(await it.query(key, (m) => m.sums.get(key))).toBe(111);
    expect(one.shardOf(key)).toBe(shardOf(key, 4));
  }
  const each = await other.queryEach(({ sums }) => [...sums.keys()]);
  expect(each.flat().sort()).toEqual([...keys].sort());
  for (const [shard, its] of each.entries()) {
    expect(its.length).toBeGreaterThan(10);
    for (const key of its) expect(shardOf(key, 4)).toBe(shard);
  }
  expect(one.replicas.map((it) => it.machine)).toHaveLength(one.count);
});

test('a tentative answer comes from the shard of the key', async () => {
  const logs = memoryLogs(3);
  await using shards = await start(logs);
  for (const it of logs) it.disconnect();
  const add = 1;
  for (const key of keys) expect((await shards.speculate({ key, add })).tentative).toBe(1);
  const again = await Promise.all(keys.map((key) => shards.speculate({ key, add })));
  const consistency = 'speculative';
  expect(await shards.query(keys[0]!, (it) => it.sums.get(keys[0]!), { consistency })).toBe(2);
  expect(await shards.queryEach((it) => it.sums.size, { consistency: 'stale' })).toEqual([0, 0, 0]);
  for (const it of logs) it.connect();
  for (const { tentative, settled } of again)
    expect(await settled).toMatchObject({ kind: 'confirmed', result: tentative });
});

test('a restart finds everything; rules are raised in all of them', async () => {
  const logs = memoryLogs(3);
  const first = await start(logs);
  for (const key of keys) await first.execute({ key, add: 1 });
  await first.upgradeTo(2);
  await first.close();
  await using again = await start(logs);
  expect((await again.queryEach((it) => it.sums.size)).reduce((a, b) => a + b)).toBe(100);
  expect(again.replicas.map((it) => it.position > 0)).toEqual([true, true, true]);
});

describe('what is not the log of a shard is refused', () => {
  const refused = {
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('another order'),
  };

  test.each([
    ['another order', (logs: MemoryLog[]) => [logs[1]!, logs[0]!, logs[2]!]],
    ['one shard fewer', (logs: MemoryLog[]) => logs.slice(0, 2)],
    ['one shard more', (logs: MemoryLog[]) => [...logs, new MemoryLog()]],
  ])('%s', async (_, change) => {
    const logs = memoryLogs(3);
    const first = await start(logs);
    for (const key of keys) await first.execute({ key, add: 1 });
    await first.close();
    const before = await Promise.all(logs.map((it) => it.tail()));
    await expect(start(change(logs))).rejects.toMatchObject(refused);
    // Nothing was written where it does not belong.
    expect(await Promise.all(logs.map((it) => it.tail()))).toEqual(before);
    await (await start(logs)).close();
  });

  test('again and again, also with snapshots of every command', async () => {
    const logs = memoryLogs(3);
    const first = await start(logs);
    for (const key of keys) await first.execute({ key, add: 1 });
    await first.close();
    const disks = [1, 2, 3].map((it) => new SimulatedDisk({ random: new SeededRandom(it) }));
    const options = {
      machine: () => new Sums(),
      keyOf,
      snapshots: (shard: number) => new DiskSnapshotStore(disks[shard]!),
      snapshotEvery: 1,
    };
    for (let i = 0; i < 4; i++) {
      const shifted = startShards({ logs: [logs[1]!, logs[0]!, logs[2]!], ...options });
      await expect(shifted).rejects.toMatchObject(refused);
    }
    const own = await startShards({ logs: logs.slice(0, 3), machine: () => new Sums(), keyOf });
    expect((await own.queryEach((it) => it.sums.size)).reduce((a, b) => a + b)).toBe(100);
    await own.close();
  });

  test('when the other one comes later, before a command was sent: what runs goes on', async () => {
    const logs = memoryLogs(2);
    await using shards = await start(logs);
    const wrong = start([logs[1]!, logs[0]!]);
    const [one, two] = await Promise.all(logs.map((it) => it.identity()));
    await expect(wrong).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining(
        `"${one}" is shard 0 of 2 of "machine", and was given as shard 1`,
      ),
      details: { inForce: { logs: [one, two] }, given: { logs: [two, one] } },
    });
    for (const key of keys) expect(await shards.execute({ key, add: 1 })).toBe(1);
    expect(shards.replicas.map((it) => it.position > 1)).toEqual([true, true]);
  });

  test('of two machines that share logs, the second', async () => {
    const logs = memoryLogs(2);
    await using _first = await start(logs);
    await expect(start(logs, { name: 'other' })).rejects.toMatchObject(refused);
  });

  test('what others write into the log of a shard stops it, and it alone', async () => {
    const logs = memoryLogs(2);
    await using shards = await start(logs);
    await logs[1]!.append([new Uint8Array(20)]);
    const states = await new Promise((resolve) =>
      shards.status$.subscribe((all) => {
        if (all.some((it) => it.state === 'failed')) resolve(all.map((it) => it.state));
      }),
    );
    expect(states).toEqual(['running', 'failed']);
    const [fine, stopped] = [0, 1].map((n) => keys.find((it) => shardOf(it, 2) === n)!);
    await expect(shards.execute({ key: stopped!, add: 1 })).rejects.toMatchObject(refused);
    expect(await shards.execute({ key: fine!, add: 1 })).toBe(1);
  });

  test('a log that was made anew in the place of one, where another still says which it was', async () => {
    const logs = memoryLogs(2);
    await (await start(logs)).close();
    await expect(start([logs[0]!, new MemoryLog()])).rejects.toMatchObject(refused);
  });

  test('readers write nothing', async () => {
    const logs = memoryLogs(2);
    const options = { logs, machine: () => new Sums(), keyOf, readOnly: true };
    await (await startShards(options)).close();
    expect(await Promise.all(logs.map((it) => it.tail()))).toEqual([0, 0]);
  });

  test('the same log twice', async () => {
    const [log] = memoryLogs(1);
    await expect(start([log!, log!])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('the same log'),
    });
  });
});

describe('what makes no sense is refused by name', () => {
  const one = new Sums();
  const store = new DiskSnapshotStore(new SimulatedDisk({ random: new SeededRandom(1) }));
  test.each([
    ['no logs', { logs: [] }, 'logs'],
    ['logs that are none', { logs: undefined }, 'logs'],
    ['no machine', { machine: undefined }, 'machine is missing'],
    ['a machine that is no function', { machine: 'a text' }, 'give machine, a function'],
    ['one machine for all of them', { logs: memoryLogs(2), machine: () => one }, 'same machine'],
    ['snapshots that are one store', { snapshots: store }, 'give snapshots, a function'],
    ['no keyOf', { keyOf: undefined }, 'keyOf is missing'],
    ['a limit that is no number', { queueBytesMax: 'much' }, 'queueBytesMax'],
  ])('%s', async (_, wrong, message) => {
    const options = { logs: memoryLogs(1), machine: () => new Sums(), keyOf };
    await expect(startShards({ ...options, ...wrong } as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });

  test('commands without a key, or with keys of two shards; those of one are taken', async () => {
    await using shards = await startShards({
      logs: memoryLogs(2),
      machine: () => ({ apply: () => 'done', snapshot: () => null, restore: () => {} }),
      keyOf: (command: { keys?: string[] }) => command.keys as string[],
    });
    const [first, second] = [0, 1].map((n) => keys.filter((it) => shardOf(it, 2) === n));
    const refused = (message: string) => ({
      code: 'INVALID_ARGUMENT',
      outcome: 'notAppended',
      message: expect.stringContaining(message),
    });
    const execute = (its?: unknown[]) => shards.execute({ keys: its as string[] });
    await expect(execute([])).rejects.toMatchObject(refused('has no key'));
    await expect(execute([first![0], second![0]])).rejects.toMatchObject(refused('several shards'));
    await expect(execute([7])).rejects.toMatchObject(refused('no text'));
    await expect(shards.execute({})).rejects.toMatchObject(refused('no text'));
    expect(await execute([first![0], first![1]])).toBe('done');
  });
});
