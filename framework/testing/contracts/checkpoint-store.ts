import assert from 'node:assert/strict';
import type {
  CheckpointOwner,
  CheckpointStore,
  TransactionalCheckpointStore,
} from '../../log/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** An empty checkpoint store, and what ends it. */
export interface CheckpointStoreUnderTest<Transaction = never> extends Closable {
  readonly store: CheckpointStore | TransactionalCheckpointStore<Transaction>;
  /** The same store as another process finds it. */
  reopen(): Promise<CheckpointStore | TransactionalCheckpointStore<Transaction>>;
  /** Where records are done in transactions: writes a text in one, as a handler does. */
  note?(transaction: Transaction, text: string): Promise<void>;
  /** Where records are done in transactions: all texts that were written and committed, in any order. */
  noted?(): Promise<string[]>;
}

const LOG = 'topic 1 of cluster a';
const fenced = { code: 'CONSUMER_FENCED' };
const mismatch = { code: 'LOG_MISMATCH' };

function owner(epoch: number, more: Partial<CheckpointOwner> = {}): CheckpointOwner {
  return { log: LOG, consumer: 'billing', epoch, ...more };
}

/**
 * What every `CheckpointStore` owes the consumer that saves to it, and what one with transactions owes beyond that.
 * `make` gives a new, empty store.
 *
 * ```ts
 * for (const { title, run } of checkpointStoreContract(makeStore)) test(title, run);
 * ```
 */
export function checkpointStoreContract<Transaction = never>(
  make: () => Promise<CheckpointStoreUnderTest<Transaction>>,
): ContractTest[] {
  return contractTests(make, (test) => {
    test('an empty store has no checkpoint', async ({ store }) => {
      assert.equal(await store.open(owner(1), []), undefined);
      assert.equal(await store.open(owner(2), []), undefined);
    });

    test('what was saved last is what the next life begins with, also in another process', async (subject) => {
      const { store } = subject;
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      await store.save(owner(1), 7);
      await store.save(owner(1), 2 ** 53 - 1);
      assert.equal((await store.open(owner(2), []))?.position, 2 ** 53 - 1);
      await store.save(owner(2), 5);
      assert.equal((await (await subject.reopen()).open(owner(3), []))?.position, 5);
    });

    test('a life is fenced once a later one has opened, and changes nothing then', async (subject) => {
      const { store } = subject;
      const other = await subject.reopen();
      await store.open(owner(1), []);
      await store.save(owner(1), 7);
      await other.open(owner(3), []);
      await assert.rejects(store.save(owner(1), 9), fenced);
      await assert.rejects(store.open(owner(2), []), fenced);
      assert.equal((await other.open(owner(4), []))?.position, 7);
    });

    test('the checkpoint of another log is refused, and stays', async ({ store }) => {
      await store.open(owner(1), []);
      await store.save(owner(1), 7);
      const elsewhere = owner(2, { log: 'topic 1 of cluster b' });
      await assert.rejects(store.open(elsewhere, []), mismatch);
      await assert.rejects(store.save(elsewhere, 1), mismatch);
      assert.equal((await store.open(owner(2), []))?.position, 7);
    });

    test('a record is done with what its handler writes, or neither', async (subject) => {
      const it = transactional(subject);
      if (it === undefined) return;
      const { store, note, noted } = it;
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      await store.transact(owner(1), 1, (transaction) => note(transaction, 'one'));
      const failing = store.transact(owner(1), 2, async (transaction) => {
        await note(transaction, 'two');
        throw new RangeError('the handler fails');
      });
      await assert.rejects(failing, RangeError);
      assert.deepEqual([...(await noted())], ['one']);
      assert.equal((await store.open(owner(2), []))?.position, 1);
    });

    test('records are done once, in any order, and the position waits for the first that is not', async (subject) => {
      const it = transactional(subject);
      if (it === undefined) return;
      const { store, note, noted } = it;
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      const work = (text: string) => (transaction: Transaction) => note(transaction, text);
      for (const glsn of [3, 2, 5]) await store.transact(owner(1), glsn, work(`${glsn}`));
      const found = await store.open(owner(2), []);
      assert.equal(found?.position, 0);
      assert.deepEqual([...(found?.done ?? [])].sort(), [2, 3, 5]);
      for (const glsn of [3, 1, 1]) await store.transact(owner(2), glsn, work(`${glsn} again`));
      assert.equal((await store.open(owner(3), []))?.position, 3);
      assert.deepEqual([...(await noted())].sort(), ['1 again', '2', '3', '5']);
    });

    test('transactions of one moment are all done', async (subject) => {
      const it = transactional(subject);
      if (it === undefined) return;
      const { store, note, noted } = it;
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      const glsns = Array.from({ length: 10 }, (_, i) => 10 - i);
      await Promise.all(
        glsns.map((glsn) => store.transact(owner(1), glsn, (tx) => note(tx, `${glsn}`))),
      );
      assert.equal((await store.open(owner(2), []))?.position, 10);
      assert.equal((await noted()).length, 10);
    });

    test('a life that is fenced while its handler works leaves nothing', async (subject) => {
      const it = transactional(subject);
      if (it === undefined) return;
      const { store, note, noted } = it;
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      await store.open(owner(2), []);
      const late = store.transact(owner(1), 1, (transaction) => note(transaction, 'late'));
      await assert.rejects(late, fenced);
      await assert.rejects(store.park(owner(1), 1), fenced);
      assert.deepEqual([...(await noted())], []);
      assert.equal((await store.open(owner(3), []))?.position, 0);
    });

    test('a parked record is passed, and done later, once', async (subject) => {
      const it = transactional(subject);
      if (it === undefined) return;
      const { store, note, noted } = it;
      await store.open(owner(1), []);
      await store.save(owner(1), 0);
      await store.park(owner(1), 1);
      await store.park(owner(1), 2);
      assert.equal((await store.open(owner(2), [1, 2]))?.position, 2);
      const work = (text: string) => (transaction: Transaction) => note(transaction, text);
      await store.transact(owner(2), 1, work('1'));
      await store.transact(owner(2), 1, work('1 again'));
      // Who has done it meanwhile is not undone.
      await store.park(owner(2), 1);
      await store.transact(owner(2), 1, work('1 after all'));
      // The second one was given up.
      assert.equal((await store.open(owner(3), []))?.position, 2);
      await store.transact(owner(3), 2, work('2'));
      assert.deepEqual([...(await noted())], ['1']);
    });
  });
}

function transactional<Transaction>({ store, note, noted }: CheckpointStoreUnderTest<Transaction>):
  | {
      readonly store: TransactionalCheckpointStore<Transaction>;
      readonly note: (transaction: Transaction, text: string) => Promise<void>;
      readonly noted: () => Promise<string[]>;
    }
  | undefined {
  if (!('transact' in store)) return undefined;
  if (note !== undefined && noted !== undefined) return { store, note, noted };
  throw new TypeError('a store with transactions is tested with note() and noted()');
}
