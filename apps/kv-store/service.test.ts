import { startReplica } from 'varlog/smr';
import { MemoryLog } from 'varlog/testing';
import { kvCodecs } from './codecs.ts';
import { keyOfText, keysWithPrefix } from './key.ts';
import { KvMachine } from './machine.ts';
import { KvService } from './service.ts';
import { type StartedStore, startStore } from './store.fixture.ts';
import type { Version } from './version.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value && new TextDecoder().decode(value);
const prefixed = (prefix: string) => keysWithPrefix(keyOfText(prefix));

describe('the service', () => {
  /** Watches until `count` changes came. */
  async function watch(service: KvService, prefix: string, from: number, count: number) {
    const seen: Version[] = [];
    for await (const { changes } of service.watch(
      prefixed(prefix),
      { from },
      AbortSignal.timeout(10_000),
    )) {
      seen.push(...changes);
      if (seen.length >= count) return seen;
    }
    throw new Error('a watch never ends by itself');
  }

  test('a watcher sees every change from its revision on, once, in order', async () => {
    await using it = await startStore();
    const { revision } = await it.service.put('a', bytes('1'));
    await it.service.put('b', bytes('2'));
    const watching = watch(it.service, 'a', revision, 3);
    await it.service.put('a', bytes('3'));
    await it.service.delete('a');
    const seen = await watching;
    expect(seen.map(({ value }) => text(value))).toEqual(['1', '3', undefined]);
    expect(it.service.watchers).toBe(0);
  });

  test('a watcher for whom nothing comes is told how far the store has come', async () => {
    await using it = await startStore();
    const { revision } = await it.service.put('a', bytes('1'));
    const watching = it.service.watch(prefixed('a'), {}, AbortSignal.timeout(10_000));
    const begun = await watching.next();
    expect(begun.value).toMatchObject({ changes: [], through: revision });
    const progress = watching.next();
    await Promise.all(
      Array.from({ length: 1_500 }, (_, i) => it.service.put(`b-${i}`, bytes('x'))),
    );
    const { value } = await progress;
    expect(value!.changes).toEqual([]);
    expect(value!.through).toBeGreaterThan(revision + 900);
    await watching.return(undefined);
  });

  test('a watcher from beyond all revisions waits like any other', async () => {
    await using it = await startStore();
    for (const from of [2 ** 53, 2 ** 63, 2 ** 64]) {
      const watching = it.service.watch(prefixed(''), { from }, AbortSignal.timeout(10_000));
      await watching.next();
      let cameAtOnce = false;
      const following = watching.next().then(() => {
        cameAtOnce = true;
      });
      following.catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
      expect(cameAtOnce).toBe(false);
      void watching.return(undefined);
    }
  });

  test('a watcher of an idle store is told so now and then', async () => {
    await using it = await startStore(undefined, {}, 20);
    const { revision } = await it.service.put('a', bytes('1'));
    const log = await it.service.tag();
    const watching = it.service.watch(prefixed(''), {}, AbortSignal.timeout(10_000));
    for (let i = 0; i < 3; i++) {
      const { value } = await watching.next();
      expect(value).toEqual({ changes: [], through: revision, log });
    }
    await watching.return(undefined);
  });

  test('a revision of another log is refused, also where the store has outgrown it', async () => {
    await using old = await startStore();
    await old.service.put('a', bytes('1'));
    const { revision, log } = await old.service.list('');
    await using anew = await startStore();
    for (let i = 0; i < 5; i++) await anew.service.put('a', bytes('2'));
    const start = { from: revision + 1, log };
    const signal = AbortSignal.timeout(10_000);
    await expect(anew.service.watch(prefixed(''), start, signal).next()).rejects.toMatchObject({
      code: 'LOG_MISMATCH',
      message: expect.stringContaining('list the keys anew'),
    });
    const own = await old.service.watch(prefixed(''), start, signal).next();
    expect(own.value).toEqual({ changes: [], through: revision, log });
  });

  test.each([
    ['the replica ends', (it: StartedStore) => it.replica.close()],
    ['it shuts down', async (it: StartedStore) => it.service.endWatches()],
  ])('a watch ends when %s', async (_, end) => {
    await using it = await startStore();
    const watching = it.service.watch(prefixed(''), {}, AbortSignal.timeout(10_000));
    await watching.next();
    const next = watching.next();
    await end(it);
    await expect(next).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('a request takes effect once, however many are between it and its repetition', async () => {
    await using it = await startStore();
    const [requestId, condition] = ['x', { ifNoneMatch: 'any' as const }];
    const first = await it.service.put('a', bytes('1'), { requestId, condition });
    for (let i = 0; i < 25; i++) {
      const ids = Array.from({ length: 1_000 }, (_, j) => `${i}-${j}`);
      await Promise.all(ids.map((id) => it.service.put('b', bytes('2'), { requestId: id })));
    }
    expect(await it.service.put('a', bytes('1'), { requestId, condition })).toEqual(first);
    await it.service.delete('a');
    expect(await it.service.put('a', bytes('1'), { requestId, condition })).toEqual(first);
    expect(await it.service.get('a')).toBeUndefined();
    const others = [
      it.service.put('a', bytes('2'), { requestId, condition }),
      it.service.put('a', bytes('1'), { requestId }),
      it.service.put('b', bytes('1'), { requestId, condition }),
      it.service.delete('a', { requestId, condition }),
    ];
    for (const other of others)
      await expect(other).rejects.toMatchObject({ code: 'REQUEST_MISMATCH' });
    expect((await it.service.list('')).items.map(({ key: one }) => one)).toEqual(['b']);
  });

  test('a write without a quorum ends in time, and says what is known of it', async () => {
    const log = new MemoryLog();
    // Takes every entry and never says so, as a log whose quorum is lost.
    log.append = () => new Promise(() => {});
    const machine = new KvMachine();
    const replica = await startReplica({ machine, log, codec: kvCodecs, callTimeoutMs: 50 });
    const service = new KvService(replica, log);
    await expect(service.put('a', bytes('1'))).rejects.toMatchObject({ code: 'TIMEOUT' });
    log.tail = () => new Promise(() => {});
    await expect(service.get('a')).rejects.toMatchObject({ code: 'TIMEOUT' });
    await replica.close();
  });
});
