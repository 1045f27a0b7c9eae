import fc from 'fast-check';
import { VarlogError } from '../../base/index.ts';
import {
  checkListAppend,
  given,
  type ListOperation,
  type ListTransaction,
  MemoryLog,
  simulate,
} from '../../testing/index.ts';
import {
  ReplicaTransactions,
  startReplica,
  type TransactionStore,
  transactions,
} from '../index.ts';
import type { Transaction } from './transaction.ts';
import { type TransactionCommand, TransactionMachine } from './transaction-machine.ts';
import { anyCommand } from './transactions.fixture.ts';

async function storesOn(log: MemoryLog, count: number) {
  const replicas = await Promise.all(
    Array.from({ length: count }, () => startReplica({ machine: new TransactionMachine(), log })),
  );
  return {
    replicas,
    stores: replicas.map((it) => transactions(it)),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(replicas.map((it) => it.close()));
    },
  };
}

const faults = fc.array(
  fc.constantFrom('refused', 'unknownApplied', 'unknownLate', 'unknownLost'),
  { maxLength: 5 },
);

describe('transactions', () => {
  test('write skew does not happen: of two doctors one stays on call', async () => {
    await using cluster = await storesOn(new MemoryLog(), 2);
    const [one, two] = cluster.stores as [TransactionStore, TransactionStore];
    await one.transact(async (txn) => {
      txn.put('alice', 'on');
      txn.put('bob', 'on');
    });
    let reading = 0;
    let bothHaveRead: () => void = () => {};
    const both = new Promise<void>((resolve) => {
      bothHaveRead = resolve;
    });
    const leave = (store: TransactionStore, doctor: string): Promise<void> =>
      store.transact(async (txn) => {
        const others = [await txn.get('alice'), await txn.get('bob')];
        if (++reading === 2) bothHaveRead();
        await both;
        if (others.filter((it) => it === 'on').length === 2) txn.put(doctor, 'off');
      });
    await Promise.all([leave(one, 'alice'), leave(two, 'bob')]);
    const on = await one.transact(async (txn) => [await txn.get('alice'), await txn.get('bob')]);
    expect(on.sort()).toEqual(['off', 'on']);
  });

  test('lists that transactions append to agree with one serial order, whatever appends suffer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }), {
          minLength: 2,
          maxLength: 12,
        }),
        faults,
        async (transactions, injected) => {
          const log = new MemoryLog();
          await using cluster = await storesOn(log, 3);
          log.failNext(...injected);
          const history = await Promise.all(
            transactions.map((keys, i) => appendTo(cluster.stores[i % 3]!, keys, String(i))),
          );
          await Promise.all(cluster.replicas.map((it) => it.caughtUp()));
          for (const store of cluster.stores) history.push(await readAll(store));
          expect(checkListAppend(history)).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  test('one with an id takes effect once, and each run is told the same', async () => {
    await using cluster = await storesOn(new MemoryLog(), 2);
    const [store, other] = cluster.stores as [TransactionStore, TransactionStore];
    await store.transact(async (txn) => txn.put('n', '0'));
    const increment = (meets: number, id = 'pay'): Promise<{ was: number }> =>
      store.transact(
        async (txn) => {
          const was = Number(await txn.get('n'));
          // Another gets in between so many times.
          if (meets-- > 0) await other.transact(async (it) => it.put('n', String(was)));
          await txn.get('x');
          txn.put('n', String(was + 1));
          return { was };
        },
        { id },
      );
    expect(await increment(2)).toEqual({ was: 0 });
    expect(await store.outcome('pay')).toMatchObject({ state: 'committed', result: '{"was":0}' });
    for (const meets of [0, 1, 3]) expect(await increment(meets)).toEqual({ was: 0 });
    expect(await increment(0, 'pay/2')).toEqual({ was: 1 });
    expect(await other.transact((txn) => txn.get('n'))).toBe('2');
    const both = await Promise.all([increment(0, 'both'), increment(0, 'both')]);
    expect(both).toEqual([{ was: 2 }, { was: 2 }]);
    const large = async (txn: Transaction): Promise<bigint> => {
      txn.put('n', '');
      return 1n;
    };
    await expect(store.transact(large, { id: 'large' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      outcome: 'notAppended',
    });
    await expect(store.begin({ id: '' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('what is no text or no position gets no further than its caller', async () => {
    await using cluster = await storesOn(new MemoryLog(), 1);
    const [store] = cluster.stores as [TransactionStore];
    const refused = { code: 'INVALID_ARGUMENT', outcome: 'notAppended' };
    const transaction = await store.begin();
    const say = (it: unknown): never => it as never;
    for (const it of [7, null, undefined, {}]) {
      expect(() => transaction.put(say(it), 'x')).toThrow(expect.objectContaining(refused));
      expect(() => transaction.put('x', say(it))).toThrow(expect.objectContaining(refused));
      expect(() => transaction.delete(say(it))).toThrow(expect.objectContaining(refused));
      await expect(transaction.get(say(it))).rejects.toMatchObject(refused);
    }
    for (const since of [-1, 0.5, Number.NaN]) {
      await expect(store.begin({ since })).rejects.toMatchObject(refused);
      await expect(store.outcome('x', { since })).rejects.toMatchObject(refused);
    }
    await expect(store.outcome('')).rejects.toMatchObject(refused);
  });

  test('a conflict is a certain failure that says who changed which key, and where', async () => {
    await using cluster = await storesOn(new MemoryLog(), 2);
    const [store, other] = cluster.stores as [TransactionStore, TransactionStore];
    await store.transact(async (txn) => txn.put('x', 'first'));
    for (const change of ['put', 'delete'] as const) {
      const losing = await store.begin({ id: `losing to ${change}` });
      await losing.get('x');
      losing.put('y', 'never');
      const winner = await other.begin({ id: change });
      if (change === 'put') winner.put('x', 'second');
      else winner.delete('x');
      const { position } = await winner.commit();
      const conflict = { key: 'x', position, by: change };
      for (let i = 0; i < 2; i++)
        await expect(losing.commit()).rejects.toMatchObject({
          code: 'CONDITION_FAILED',
          outcome: 'notAppended',
          details: { conflict },
        });
      const told = await other.outcome(losing.id, { since: losing.since });
      expect(told).toMatchObject({ state: 'aborted', conflict });
    }
    expect(await store.transact((txn) => txn.get('y'))).toBeUndefined();
  });

  test('all that one reads is of one moment, however long it takes', async () => {
    await using cluster = await storesOn(new MemoryLog(), 1);
    const [store] = cluster.stores as [TransactionStore];
    const write = (value: string): Promise<void> =>
      store.transact(async (txn) => {
        for (const key of ['x', 'y']) txn.put(key, value);
      });
    await write('old');
    const reading = await store.begin();
    expect(await reading.get('x')).toBe('old');
    await write('new');
    expect(await reading.get('y')).toBe('old');
    expect((await reading.commit()).position).toBe(reading.at);
    // So many begin that its snapshot is let go.
    for (let i = 0; i < 1_000; i++) {
      await write(String(i));
      await store.begin();
    }
    await expect(reading.get('z')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      outcome: 'notAppended',
    });
  });

  test('one whose outcome was asked for before it came never takes effect', async () => {
    await using cluster = await storesOn(new MemoryLog(), 2);
    const [store, other] = cluster.stores as [TransactionStore, TransactionStore];
    const late = await store.begin();
    late.put('x', 'late');
    const refused = await other.outcome(late.id, { since: late.since });
    expect(refused.state).toBe('refused');
    await expect(late.commit()).rejects.toMatchObject({
      code: 'CONDITION_FAILED',
      outcome: 'notAppended',
    });
    expect(await store.outcome(late.id)).toEqual(refused);
    expect(await store.transact((txn) => txn.get('x'))).toBeUndefined();
  });

  test.each([false, true])(
    'an answer that is lost leaves the outcome unknown, with what asks for it (sent: %s)',
    async (sent) => {
      await using cluster = await storesOn(new MemoryLog(), 1);
      const [store] = cluster.stores as [TransactionStore];
      class Losing extends ReplicaTransactions {
        override async commit(...given: Parameters<ReplicaTransactions['commit']>): Promise<never> {
          if (sent) await super.commit(...given);
          throw new VarlogError('UNREACHABLE', { what: 'no answer', outcome: 'unknown' });
        }
      }
      const losing = transactions(new Losing(cluster.replicas[0]!));
      const error = await losing.transact(async (txn) => txn.put('x', '1')).catch((it) => it);
      expect(error).toMatchObject({ code: 'UNREACHABLE', outcome: 'unknown' });
      const { id, since } = error.details as { id: string; since: number };
      const { state } = await store.outcome(id, { since });
      expect(state).toBe(sent ? 'committed' : 'refused');
      expect(await store.transact((txn) => txn.get('x'))).toBe(sent ? '1' : undefined);
    },
  );

  test('a body that always meets a conflict ends with an error, and waits as it is told', async () => {
    await using cluster = await storesOn(new MemoryLog(), 1);
    const [store] = cluster.stores as [TransactionStore];
    const waits: number[] = [];
    const losing = store.transact(
      async (txn) => {
        await txn.get('x');
        await store.transact(async (other) => other.put('x', 'mine'));
        txn.put('y', 'never');
      },
      { attemptsMax: 3, backoff: async (conflicts) => void waits.push(conflicts) },
    );
    await expect(losing).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(waits).toEqual([1, 2]);
    expect(await store.transact((txn) => txn.get('y'))).toBeUndefined();
  });
});

describe('outcomes that are kept', () => {
  const put = (id: string, since = 0): TransactionCommand => ({
    op: 'commit',
    id,
    attempt: 1,
    since,
    reads: [],
    writes: [['k', id]],
  });

  test('are there for their time, by the log, and then told apart from those that never came', () => {
    const small = () => new TransactionMachine({ keptMs: 1_000, bytesMax: 10_000_000 });
    const machine = given(small(), [put('first')], { time: 5_000 });
    for (let i = 0; i < 2_000; i++) machine.at(5_000 + i / 4).when(put(`other ${i}`));
    machine.at(5_900).when(put('first')).then({ state: 'committed', position: 1 });
    for (const time of [6_100, 7_200, 8_300]) machine.at(time).when(put(`late ${time}`, 2_003));
    // It may be a repetition: nobody knows.
    machine.when(put('first')).then({ state: 'forgotten', through: 2_003 });
    machine.when({ op: 'settle', id: 'first', since: 0 });
    machine.then({ state: 'forgotten', through: 2_003 });
    // One that began after all that is forgotten cannot be one.
    machine.when(put('new', 2_010)).then({ state: 'committed', position: 2_008 });
  });

  test('have a bound', () => {
    const machine = new TransactionMachine({ keptMs: 1e9, bytesMax: 100_000 });
    for (let i = 1; i <= 30_000; i++) machine.apply(put(`${i}`, i), { position: i, time: i });
    expect(JSON.stringify([...machine.snapshot().begin()]).length).toBeLessThan(100_000);
    expect(machine.known('30000')).toBeDefined();
    expect(machine.apply(put('1', 1), { position: 30_001, time: 1 })).toMatchObject({
      state: 'forgotten',
    });
  });
});

const listOf = (value: string | undefined): string[] => JSON.parse(value ?? '[]') as string[];

/** Reads each list and appends to it, in one transaction. */
async function appendTo(
  store: TransactionStore,
  keys: readonly string[],
  value: string,
): Promise<ListTransaction> {
  const callMs = performance.now();
  const operations = await store.transact(async (txn) => {
    const done: ListOperation[] = [];
    for (const key of keys) {
      const values = listOf(await txn.get(key));
      done.push({ kind: 'read', key, values }, { kind: 'append', key, value });
      txn.put(key, JSON.stringify([...values, value]));
    }
    return done;
  });
  return { operations, callMs, returnMs: performance.now(), outcome: 'committed' };
}

async function readAll(store: TransactionStore): Promise<ListTransaction> {
  const callMs = performance.now();
  const operations = await store.transact(async (txn) => {
    const done: ListOperation[] = [];
    for (const key of ['a', 'b', 'c']) {
      done.push({ kind: 'read', key, values: listOf(await txn.get(key)) });
    }
    return done;
  });
  return { operations, callMs, returnMs: performance.now(), outcome: 'committed' };
}

test('replicas of the machine survive crashes, partitions and lost acknowledgements', async () => {
  await simulate(() => new TransactionMachine({ keptMs: 1_000, bytesMax: 2_000 }), {
    seeds: Number(process.env['SEEDS'] ?? 10),
    workload: anyCommand,
  });
});
