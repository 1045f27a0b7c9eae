import fc from 'fast-check';
import { startReplica } from 'varlog/smr';
import {
  checkListAppend,
  type ListOperation,
  type ListTransaction,
  MemoryLog,
} from 'varlog/testing';
import { TransactionStore } from './transaction-store.ts';
import { TransactionMachine } from './transactions.ts';

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

  test('an outcome can be asked for by id, and a repeated id takes effect once', async () => {
    await using cluster = await storesOn(new MemoryLog(), 1);
    const [store] = cluster.stores as [TransactionStore];
    const increment = (): Promise<void> =>
      store.transact(
        async (txn) => {
          txn.put('n', `${await txn.get('n')}+`);
        },
        { id: 'once' },
      );
    expect(await store.outcome('once')).toBeUndefined();
    await increment();
    expect(await store.outcome('once')).toMatchObject({ committed: true });
    await increment();
    expect(await store.transact((txn) => txn.get('n'))).toBe('undefined+');
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
