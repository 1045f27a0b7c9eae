import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TransactionStore, transactions } from 'varlog/smr';
import { freeAddresses, MemoryLog } from 'varlog/testing';
import { RemoteTransactions } from './client.ts';
import { type ServingTransactions, startTransactionReplica } from './replica.ts';

describe('transactions over HTTP', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-transactions-http-'));
  const log = new MemoryLog();
  let replicas: ServingTransactions[];
  let stores: TransactionStore[];
  beforeAll(async () => {
    const start = (name: string): Promise<ServingTransactions> =>
      startTransactionReplica({ http: '127.0.0.1:0', directory: join(folder, name), log });
    replicas = await Promise.all(['one', 'two'].map(start));
    stores = replicas.map(({ http }) => transactions(new RemoteTransactions(http)));
  });
  afterAll(async () => {
    for (const it of replicas) await it.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('are the same as in the process of the replica', async () => {
    const [store, other] = stores as [TransactionStore, TransactionStore];
    const key = 'a/b c%?=ü';
    await store.transact(async (txn) => txn.put(key, '1'), { id: 'first' });
    expect(await other.transact((txn) => txn.get(key))).toBe('1');
    const losing = await store.begin();
    expect(await losing.get(key)).toBe('1');
    expect(await losing.get('absent')).toBeUndefined();
    await other.transact(async (txn) => txn.put(key, '2'), { id: 'second' });
    losing.put('never', 'x');
    await expect(losing.commit()).rejects.toMatchObject({
      code: 'CONDITION_FAILED',
      outcome: 'notAppended',
      details: { conflict: { key, by: 'second' } },
    });
    expect(await other.outcome('first')).toMatchObject({ state: 'committed' });
    expect(await other.outcome(losing.id)).toMatchObject({ state: 'aborted' });
    expect(await store.outcome('never came')).toMatchObject({ state: 'refused' });
    await expect(
      store.transact(async (txn) => txn.put('x', ''), { id: 'never came' }),
    ).rejects.toMatchObject({ code: 'CONDITION_FAILED', outcome: 'notAppended' });
    // Runs again until nobody gets in between.
    const count = (it: TransactionStore): Promise<void> =>
      it.transact(async (txn) => txn.put('n', String(Number((await txn.get('n')) ?? 0) + 1)));
    await Promise.all(stores.flatMap((it) => [count(it), count(it), count(it)]));
    expect(await store.transact((txn) => txn.get('n'))).toBe('6');
  });

  test.each([
    ['/begin', {}],
    ['/begin', { id: '' }],
    ['/commit', { id: 'x' }],
    ['/commit', { id: 'x', attempt: 1, since: 0.5, reads: [], writes: [] }],
    ['/commit', { id: 'x', attempt: 0, since: 0, reads: [], writes: [] }],
    ['/commit', { id: 'x', attempt: 1, since: 0, reads: [['k']], writes: [] }],
    ['/commit', { id: 'x', attempt: 1, since: 0, reads: [], writes: [['k', 1]] }],
    ['/outcome', { id: 'x' }],
  ])('%s with %j is refused, and leaves nothing in the log', async (path, body) => {
    const before = await log.tail();
    const reply = await fetch(`http://${replicas[0]!.http}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'notAppended' });
    expect(await log.tail()).toBe(before);
  });

  test('a snapshot that is not here is said to be gone', async () => {
    const { http } = replicas[0]!;
    const remote = new RemoteTransactions(http);
    await expect(remote.read('k', 999_999)).rejects.toMatchObject({ outcome: 'notAppended' });
    const reply = await fetch(`http://${http}/keys/k?at=minus`);
    expect(reply.status).toBe(400);
  });

  test('where nobody listens, nothing was done', async () => {
    const [address = ''] = await freeAddresses(1);
    const store = transactions(new RemoteTransactions(address));
    const lost = store.transact(async (txn) => txn.put('x', ''));
    await expect(lost).rejects.toMatchObject({ code: 'UNREACHABLE', outcome: 'notAppended' });
  });
});
