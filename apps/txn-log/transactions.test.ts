import fc from 'fast-check';
import { startReplica } from 'varlog/smr';
import { MemoryLog } from 'varlog/testing';
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
          const seen = await Promise.all(
            transactions.map((keys, i) =>
              cluster.stores[i % 3]!.transact(async (txn) => {
                const lists = new Map<string, number[]>();
                for (const key of keys) {
                  const list = JSON.parse((await txn.get(key)) ?? '[]') as number[];
                  lists.set(key, list);
                  txn.put(key, JSON.stringify([...list, i]));
                }
                return lists;
              }),
            ),
          );
          await Promise.all(cluster.replicas.map((it) => it.caughtUp()));
          for (const replica of cluster.replicas) checkLists(replica.machine, transactions, seen);
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

/** Each list holds whom it should, once; and the orders of all lists, together, have no cycle (Elle). */
function checkLists(
  machine: TransactionMachine,
  transactions: string[][],
  seen: Map<string, number[]>[],
): void {
  const before = new Map<number, Set<number>>(transactions.map((_, i) => [i, new Set()]));
  for (const key of ['a', 'b', 'c']) {
    const list = JSON.parse(machine.get(key)?.value ?? '[]') as number[];
    const expected = transactions.flatMap((keys, i) => (keys.includes(key) ? [i] : []));
    expect([...list].sort((x, y) => x - y)).toEqual(expected);
    for (const [at, i] of list.entries()) {
      expect(seen[i]!.get(key)).toEqual(list.slice(0, at));
      for (const earlier of list.slice(0, at)) before.get(i)!.add(earlier);
    }
  }
  while (before.size > 0) {
    const next = [...before].find(([, needs]) => [...needs].every((it) => !before.has(it)));
    expect(next).toBeDefined();
    before.delete(next![0]);
  }
}
