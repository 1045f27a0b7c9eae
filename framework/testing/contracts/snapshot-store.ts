import assert from 'node:assert/strict';
import type { SnapshotStore } from '../../smr/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** An empty snapshot store, and what ends it. */
export interface SnapshotStoreUnderTest extends Closable {
  readonly store: SnapshotStore;
  /** The same store as another process finds it, once the one before has ended. */
  reopen(): Promise<SnapshotStore>;
}

const state = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

/**
 * What every `SnapshotStore` owes the replica that saves to it. `make` gives a new, empty store.
 *
 * ```ts
 * for (const { title, run } of snapshotStoreContract(makeStore)) test(title, run);
 * ```
 */
export function snapshotStoreContract(make: () => Promise<SnapshotStoreUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    test('an empty store has no snapshot', async ({ store }) => {
      assert.equal(await store.load(), undefined);
    });

    test('the newest snapshot comes back, whole, also in another process', async (subject) => {
      const { store } = subject;
      await store.save(7, state(1_000_000, 7));
      await store.save(9, state(3, 9));
      for (const one of [store, await subject.reopen()]) {
        const found = await one.load();
        assert.equal(found?.position, 9);
        assert.deepEqual([...found.state], [9, 9, 9]);
      }
      await store.save(10, state(1_000_000, 10));
      const large = await (await subject.reopen()).load();
      assert.equal(large?.position, 10);
      assert.equal(large.state.length, 1_000_000);
      assert.equal(
        large.state.every((it) => it === 10),
        true,
      );
    });

    test('a state of no bytes is a snapshot', async (subject) => {
      await subject.store.save(1, state(0, 0));
      const found = await (await subject.reopen()).load();
      assert.equal(found?.position, 1);
      assert.equal(found.state.length, 0);
    });

    test('the caller may use its bytes again once they are saved', async ({ store }) => {
      const bytes = state(5, 1);
      await store.save(1, bytes);
      bytes.fill(2);
      assert.deepEqual([...((await store.load())?.state ?? [])], [1, 1, 1, 1, 1]);
    });

    test('a store that says which one it is says so for good', async (subject) => {
      const { store } = subject;
      if (store.id === undefined) return;
      const id = await store.id('first');
      assert.equal(await store.id('second'), id);
      await store.save(1, state(1, 1));
      assert.equal(await (await subject.reopen()).id?.('third'), id);
    });

    test('a store that can be locked lets one replica in at a time', async (subject) => {
      const { store } = subject;
      if (store.lock === undefined) return;
      const other = await subject.reopen();
      const lock = await store.lock();
      await assert.rejects(other.lock!(), { code: 'DIRECTORY_IN_USE' });
      await lock.release();
      await (await other.lock!()).release();
    });
  });
}
