import fc from 'fast-check';
import { type ApplyContext, startReplica } from 'varlog/smr';
import {
  checkListAppend,
  type ListOperation,
  type ListTransaction,
  MemoryLog,
} from 'varlog/testing';
import { type Transaction, TransactionStore } from './transaction-store.ts';
import { type Outcome, TransactionMachine } from './transactions.ts';

class Context implements Pick<ApplyContext, 'position' | 'time'> {
  readonly position: number;
  readonly time: number;
  constructor(position: number, time: number) {
    this.position = position;
    this.time = time;
  }
}

async function storesOn(log: MemoryLog, count: number) {
  const replicas = await Promise.all(
    Array.from({ length: count }, () => startReplica({ machine: new TransactionMachine(), log })),
  );
  return {
    replicas,
    stores: replicas.map((it) => new TransactionStore(it)),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(replicas.map((it) => it.close()));
    },
  };
}

const faults = fc.array(
  fc.constantFrom('refused', 'unknownApplied', 'unknownLate', 'unknownLost'),
  {
    maxLength: 5,
  },
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

  test('a transaction with an id takes effect once, and each run is told the same', async () => {
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
    expect(await store.outcome('pay')).toBeUndefined();
    expect(await increment(2)).toEqual({ was: 0 });
    expect(await store.outcome('pay')).toMatchObject({ committed: true });
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
  });

  test('an id is kept for its time, by the log, however much else goes on', () => {
    const machine = new TransactionMachine({ keptMs: 1_000, countMax: 10_000 });
    let position = 0;
    const put = (id: string, time: number): Outcome =>
      machine.apply({ id, reads: [], writes: [['k', id]] }, new Context(++position, time));
    const first = put('first', 5_000);
    for (let i = 0; i < 5_000; i++) put(`other ${i}`, 5_000 + i / 10);
    expect(put('first', 5_900)).toEqual(first);
    const copy = new TransactionMachine({ keptMs: 1_000, countMax: 10_000 });
    copy.restore(JSON.parse(JSON.stringify(machine.snapshot())) as never);
    expect(copy.outcome('first')).toEqual(first);
    for (const time of [6_100, 7_200, 8_300]) put(`late ${time}`, time);
    expect(machine.outcome('first')).toBeUndefined();
    // And where there are too many, the oldest go: memory has a bound.
    for (let i = 0; i < 30_000; i++) put(`more ${i}`, 8_300);
    expect(machine.outcome('late 8300')).toBeUndefined();
    expect(machine.outcome('more 29999')).toBeDefined();
  });

  test('a body that always meets a conflict ends with an error', async () => {
    await using cluster = await storesOn(new MemoryLog(), 1);
    const [store] = cluster.stores as [TransactionStore];
    const losing = store.transact(
      async (txn) => {
        await txn.get('x');
        await store.transact(async (other) => other.put('x', 'mine'));
        txn.put('y', 'never');
      },
      { attemptsMax: 3 },
    );
    await expect(losing).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await store.transact((txn) => txn.get('y'))).toBeUndefined();
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
