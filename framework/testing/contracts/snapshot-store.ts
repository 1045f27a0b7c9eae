import assert from 'node:assert/strict';
import type { SnapshotStore, StoredSnapshot } from '../../smr/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** An empty snapshot store, and what ends it. */
export interface SnapshotStoreUnderTest extends Closable {
  readonly store: SnapshotStore;
  /** The same store as another process finds it, once the one before has ended. */
  reopen(): Promise<SnapshotStore>;
}

const bytes = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

async function* inChunks(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function wholeOf(stored: StoredSnapshot | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  if (stored !== undefined) for await (const chunk of stored.chunks) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a store says of its newest snapshot, in brief. */
async function newest(store: SnapshotStore): Promise<string> {
  const stored = await store.load();
  if (stored === undefined) return 'none';
  const whole = await wholeOf(stored);
  const same = whole.every((it) => it === whole[0]);
  return `${whole.length} times ${same ? (whole[0] ?? 0) : 'something'} at ${stored.position}`;
}

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
      await store.save(7, inChunks(bytes(1_000_000, 7)));
      assert.equal(await store.save(9, inChunks(bytes(3, 9))), 9);
      for (const one of [store, await subject.reopen()])
        assert.equal(await newest(one), '3 times 9 at 9');
      await store.save(10, inChunks(bytes(700_000, 10), bytes(0, 0), bytes(300_000, 10)));
      assert.equal(await newest(await subject.reopen()), '1000000 times 10 at 10');
    });

    test('a state of no bytes is a snapshot', async (subject) => {
      await subject.store.save(1, inChunks());
      assert.equal(await newest(await subject.reopen()), '0 times 0 at 1');
    });

    test('chunks come back in their order', async (subject) => {
      const chunks = Array.from({ length: 500 }, (_, i) => Buffer.from(`${i},`));
      await subject.store.save(1, inChunks(...chunks));
      const found = await wholeOf(await (await subject.reopen()).load());
      assert.equal(found.toString(), Buffer.concat(chunks).toString());
    });

    test('the next chunk is asked for when there is room for it, and the one before may be used again', async ({
      store,
    }) => {
      const chunk = bytes(10_000, 0);
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let i = 1; i <= 3; i++) yield chunk.fill(i);
      }
      await store.save(1, chunks());
      const found = await wholeOf(await store.load());
      assert.deepEqual([found[0], found[10_000], found[20_000]], [1, 2, 3]);
    });

    test('a snapshot that is given up leaves the one before, and tells why', async (subject) => {
      const { store } = subject;
      await store.save(1, inChunks(bytes(5, 1)));
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield bytes(300_000, 2);
        throw new RangeError('the state cannot be encoded');
      }
      await assert.rejects(store.save(2, broken()), RangeError);
      for (const one of [store, await subject.reopen()])
        assert.equal(await newest(one), '5 times 1 at 1');
      await store.save(3, inChunks(bytes(2, 3)));
      assert.equal(await newest(store), '2 times 3 at 3');
    });

    test('who leaves off reading leaves nothing open', async ({ store }) => {
      await store.save(1, inChunks(bytes(1_000_000, 1)));
      for await (const _ of (await store.load())!.chunks) break;
      await store.save(2, inChunks(bytes(2, 2)));
      assert.equal(await newest(store), '2 times 2 at 2');
    });

    test('a store that says which one it is says so for good', async (subject) => {
      const { store } = subject;
      if (store.id === undefined) return;
      const id = await store.id('first');
      assert.equal(await store.id('second'), id);
      await store.save(1, inChunks(bytes(1, 1)));
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
