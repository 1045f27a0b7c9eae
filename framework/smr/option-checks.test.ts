import { MemoryLog } from '../testing/index.ts';
import { type ReplicaOptions, startReplica } from './index.ts';

/** Adds up; counts, so that one number is as good as another. */
class Sum {
  value = 0;
  apply(add: number): number {
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

type Options = Partial<ReplicaOptions<number, number, number, Sum>>;
/** As a program in plain JavaScript gives them. */
const start = (options: object) =>
  startReplica({ machine: new Sum(), log: new MemoryLog(), ...(options as Options) });

const NO_NUMBERS = ['5', Number.NaN, -1, null, true, {}];
const refused = { code: 'INVALID_ARGUMENT' };

describe('options of a replica', () => {
  const numbers = ['callTimeoutMs', 'queueBytesMax', 'changesBytesMax', 'timeLeapMaxMs'];
  test.each([...numbers, 'snapshotEvery', 'checkEvery'])('%s is a number', async (key) => {
    for (const value of NO_NUMBERS) {
      // A schedule that names nothing is one.
      if (key === 'snapshotEvery' && typeof value === 'object' && value !== null) continue;
      await expect(start({ [key]: value })).rejects.toMatchObject(refused);
    }
  });

  test('limits are given whole', async () => {
    const groups = { sessions: 'idleMs', requests: 'keepMs', timers: 'bytesMax' };
    for (const [group, key] of Object.entries(groups)) {
      for (const value of ['x', null, {}, { [key]: Number.NaN }])
        await expect(start({ [group]: value })).rejects.toMatchObject(refused);
    }
    await expect(start({ snapshotEvery: { ms: '5' } })).rejects.toMatchObject(refused);
  });

  test('no limit is one', async () => {
    const all = Object.fromEntries(numbers.map((it) => [it, Number.POSITIVE_INFINITY]));
    await using replica = await start(all);
    expect(await replica.execute(1, { timeoutMs: Number.POSITIVE_INFINITY })).toBe(1);
  });
});

describe('options of a call', () => {
  test('what is no request id is none that others have too', async () => {
    await using replica = await start({});
    for (const requestId of [null, 7, {}, '', new Uint8Array(1)] as string[])
      await expect(replica.execute(1, { requestId })).rejects.toMatchObject({
        ...refused,
        outcome: 'notAppended',
      });
    expect(await replica.query((it) => it.value)).toBe(0);
  });

  test('a time limit, and a position, is a number', async () => {
    await using replica = await start({});
    for (const value of NO_NUMBERS as number[]) {
      const limit = { timeoutMs: value };
      const calls = [
        replica.execute(1, limit),
        replica.caughtUp(limit),
        replica.query((it) => it.value, limit),
        replica.query((it) => it.value, { consistency: { atLeast: value } }),
        replica.upgradeTo(1, limit),
        replica.snapshot(limit),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject(refused);
    }
    const consistency = 'newest' as 'stale';
    await expect(replica.query((it) => it.value, { consistency })).rejects.toMatchObject(refused);
    expect(await replica.query((it) => it.value)).toBe(0);
  });
});
