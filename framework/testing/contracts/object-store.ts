import assert from 'node:assert/strict';
import type { ObjectStore } from '../../smr/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** An empty object store, and what ends it. */
export interface ObjectStoreUnderTest extends Closable {
  readonly store: ObjectStore;
  /** The same store as another process finds it. */
  reopen(): Promise<ObjectStore>;
}

async function* inChunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const it of texts) yield new TextEncoder().encode(it);
}

async function textOf(store: ObjectStore, name: string): Promise<string | undefined> {
  const chunks = await store.get(name);
  if (chunks === undefined) return undefined;
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

/**
 * What every `ObjectStore` owes the replicas that share it. `make` gives a new, empty store.
 *
 * ```ts
 * for (const { title, run } of objectStoreContract(makeStore)) test(title, run);
 * ```
 */
export function objectStoreContract(make: () => Promise<ObjectStoreUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    test('an empty store has no objects', async ({ store }) => {
      assert.deepEqual([...(await store.list(''))], []);
      assert.equal(await store.get('a'), undefined);
      await store.delete('a');
    });

    test('an object comes back whole, also in another process', async (subject) => {
      await subject.store.put('a', inChunks('one', '', 'two'.repeat(300_000), 'three'));
      await subject.store.put('nothing', inChunks());
      for (const store of [subject.store, await subject.reopen()]) {
        assert.equal(await textOf(store, 'a'), `one${'two'.repeat(300_000)}three`);
        assert.equal(await textOf(store, 'nothing'), '');
      }
    });

    test('names are listed in their order, by how they begin', async ({ store }) => {
      for (const name of ['b-2', 'a-1', 'b-10', 'b_1', 'b']) await store.put(name, inChunks(name));
      assert.deepEqual([...(await store.list('b-'))], ['b-10', 'b-2']);
      assert.equal((await store.list('')).length, 5);
      await store.delete('b-10');
      assert.deepEqual([...(await store.list('b-'))], ['b-2']);
      assert.equal(await store.get('b-10'), undefined);
      assert.equal(await textOf(store, 'b-2'), 'b-2');
    });

    test('an object is replaced as a whole, and seen by nobody before it is whole', async (subject) => {
      const { store } = subject;
      const other = await subject.reopen();
      await store.put('a', inChunks('the old one'));
      async function* watched(): AsyncGenerator<Uint8Array> {
        yield* inChunks('a new one', 'x'.repeat(500_000));
        assert.equal(await textOf(other, 'a'), 'the old one');
        assert.deepEqual([...(await other.list(''))], ['a']);
        yield* inChunks('its end');
      }
      await store.put('a', watched());
      assert.equal(await textOf(other, 'a'), `a new one${'x'.repeat(500_000)}its end`);
    });

    test('an object that is given up is none, and tells why', async (subject) => {
      const { store } = subject;
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield* inChunks('x'.repeat(300_000));
        throw new RangeError('the state cannot be encoded');
      }
      await assert.rejects(store.put('a', broken()), RangeError);
      assert.equal(await store.get('a'), undefined);
      await store.put('a', inChunks('one'));
      await assert.rejects(store.put('a', broken()), RangeError);
      assert.equal(await textOf(await subject.reopen(), 'a'), 'one');
    });

    test('who leaves off reading leaves nothing open', async ({ store }) => {
      await store.put('a', inChunks('x'.repeat(1_000_000)));
      for await (const _ of (await store.get('a'))!) break;
      await store.put('a', inChunks('two'));
      assert.equal(await textOf(store, 'a'), 'two');
    });
  });
}
