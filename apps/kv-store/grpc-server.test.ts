import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { lastValueFrom, take, toArray } from 'rxjs';
import { MemoryLog } from 'varlog/testing';
import { CallStream } from './call-stream.ts';
import type { Answers, Call } from './calls.ts';
import { KvClient } from './client.ts';
import type { Change } from './named-key.ts';
import { keyValue } from './proto.ts';
import { breakable, type StartedStore, startStore } from './store.fixture.ts';

/** Replicas on one log, the first of which may be broken, and a client of them all. */
async function start(size = 2, damaged = breakable(new MemoryLog())) {
  const stores = [await startStore(damaged.log)];
  for (let i = 1; i < size; i++) stores.push(await startStore(damaged.whole));
  const client = new KvClient(stores.map((it) => it.grpc));
  return {
    stores,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      for (const it of stores) await it.end();
    },
  };
}

const text = (value: Uint8Array | undefined): string | undefined =>
  value && new TextDecoder().decode(value);

function bind(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
    );
  });
}

describe('the gRPC server', () => {
  test('answers many calls at once, each with its own reply', async () => {
    await using it = await start();
    const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`);
    const written = await Promise.all(keys.map((key) => it.client.put(key, `of ${key}`)));
    expect(new Set(written.map(({ revision }) => revision)).size).toBe(keys.length);
    const found = await Promise.all(keys.map((key) => it.client.get(key)));
    expect(found.map((it) => [text(it?.value), it?.revision])).toEqual(
      keys.map((key, i) => [`of ${key}`, written[i]!.revision]),
    );
    const { revision, log } = written[0]!;
    const later = { revision: revision + 1, log };
    expect(await it.client.compareAndSet('key-0', later, 'x')).toMatchObject({
      done: false,
      revision,
      log,
    });
    expect((await it.client.compareAndSet('key-0', found[0], 'x')).done).toBe(true);
    expect((await it.client.compareAndSet('new', found[0], 'x')).done).toBe(false);
    expect((await it.client.compareAndSet('new', undefined, 'x')).done).toBe(true);
    const nothing = { revision: Number('x'), log };
    await expect(it.client.compareAndSet('new', nothing, 'x')).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    expect((await it.client.delete('key-1')).done).toBe(true);
    expect(await it.client.get('key-1')).toBeUndefined();
    expect((await it.client.list('key-1')).items).toHaveLength(110);
  });

  test('refuses one call and answers those beside it', async () => {
    await using it = await start();
    const [refused, done] = await Promise.allSettled([
      it.client.put('', 'x'),
      it.client.put('a', 'x'),
    ]);
    expect(refused).toMatchObject({ reason: { code: status.INVALID_ARGUMENT } });
    expect(done).toMatchObject({ value: { done: true } });
  });

  test('a client goes on at another replica, and each write takes effect once', async () => {
    await using it = await start();
    const puts = Array.from({ length: 200 }, async (_, i) => {
      const key = `key-${i}`;
      const { revision } = await it.client.put(key, `${i}`);
      const found = await it.client.get(key);
      expect([text(found?.value), found?.revision]).toEqual([`${i}`, revision]);
      if (i === 20) void it.stores[0]!.end();
      expect((await it.client.put(key, 'again')).revision).toBeGreaterThan(revision);
    });
    await Promise.all(puts);
    const { items, revision } = await it.client.list('key-');
    expect(items.map(({ value }) => text(value))).toEqual(puts.map(() => 'again'));
    expect(revision).toBeGreaterThanOrEqual(400);
  });

  test('takes calls by themselves too', async () => {
    await using it = await start(1);
    const connection = new Client(it.stores[0]!.grpc, credentials.createInsecure());
    const call = (name: string, request: object): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = keyValue[name]!;
        connection.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          (error, reply) => (error === null ? resolve(reply) : reject(error)),
        );
      });
    const { revision } = await it.client.put('a', '1');
    const value = Buffer.from('1');
    const { log } = await it.client.list('');
    expect(log).toMatch(/^[0-9a-f]{16}$/);
    expect(await call('Get', { key: 'a' })).toEqual({ found: true, value, revision, log });
    expect(await call('Put', { key: 'a', value })).toMatchObject({ done: true, existed: true });
    const refused: [string, object][] = [
      ['Put', { key: '' }],
      ['Get', { key: '' }],
      ['Delete', { key: '' }],
      ['CompareAndSet', { key: '' }],
      ['CompareAndSet', { key: 'a', expected: 2 ** 60 }],
      ['Put', { key: 'k'.repeat(3_000) }],
      ['Put', { key: 'a', value: Buffer.alloc(512 * 1024 + 1) }],
      ['Put', { key: 'a', requestId: 'x'.repeat(257) }],
    ];
    for (const [name, request] of refused)
      await expect(call(name, request)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    connection.close();
  });
});

test('a revision of another log is refused, and none is told without its log', async () => {
  await using old = await startStore();
  await using anew = await startStore();
  const client = new KvClient([old.grpc, anew.grpc]);
  const there = new KvClient([anew.grpc]);
  const written = await client.put('a', '1');
  expect(await there.get('a')).toBeUndefined();
  // The same number in both.
  const own = await there.put('a', '1');
  expect([own.revision, own.log]).toEqual([
    written.revision,
    expect.not.stringMatching(written.log),
  ]);
  await old.end();
  await expect(client.compareAndSet('a', written, '2')).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    message: expect.stringContaining('list the keys anew'),
  });
  const unchecked = { revision: written.revision + 1, log: '' };
  expect((await client.compareAndSet('a', unchecked, '2')).done).toBe(false);
  const found = await client.get('a');
  expect(found).toEqual({ value: Buffer.from('1'), revision: own.revision, log: own.log });
  expect(await client.compareAndSet('a', found, '2')).toMatchObject({ done: true, log: own.log });
  expect(await client.delete('a')).toMatchObject({ done: true, log: own.log });
  client.close();
  there.close();
});

describe('values as large as may be', () => {
  test('travel side by side, whatever gRPC allows for one message', async () => {
    await using it = await start(1);
    const value = Buffer.alloc(512 * 1024, 'x');
    const keys = Array.from({ length: 24 }, (_, i) => `key-${i}`);
    await Promise.all(keys.map((key) => it.client.put(key, value)));
    const found = await Promise.all(keys.map((key) => it.client.get(key)));
    expect(found.map((one) => one?.value.length)).toEqual(keys.map(() => value.length));
    expect((await it.client.list('key-')).items).toHaveLength(24);
    await Promise.all(keys.map((key) => it.client.put(`more-${key}`, value)));
    await expect(it.client.list('')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe('calls of one turn', () => {
  test('travel however long their keys are', async () => {
    await using it = await start(1);
    const keys = Array.from({ length: 3_000 }, (_, i) => `${i}`.padEnd(2_000, 'x'));
    const found = await Promise.all(keys.map((key) => it.client.get(key)));
    expect(found).toEqual(keys.map(() => undefined));
  });

  test('are answered beside one that no replica takes', async () => {
    await using it = await start(1);
    const outcomes = await Promise.allSettled([
      it.client.put('a', '1'),
      it.client.put('b', Buffer.alloc(5 * 1024 * 1024)),
      it.client.get('c'.repeat(5 * 1024 * 1024)),
      it.client.put('d', '1'),
    ]);
    const refused = { status: 'rejected', reason: { code: status.INVALID_ARGUMENT } };
    const done = { status: 'fulfilled' };
    expect(outcomes).toMatchObject([done, refused, refused, done]);
  });
});

describe('a watch', () => {
  /** The first `count` changes. */
  const first = (client: KvClient, count: number, from?: number, log?: string): Promise<Change[]> =>
    lastValueFrom(client.watch$('', from, log).pipe(take(count), toArray()));

  test('brings a backlog of any size', async () => {
    await using it = await start(1);
    const value = Buffer.alloc(1_000, 'x');
    const keys = Array.from({ length: 20_000 }, (_, i) => `key-${i}`);
    const { service } = it.stores[0]!;
    for (let i = 0; i < keys.length; i += 1_000)
      await Promise.all(keys.slice(i, i + 1_000).map((key) => service.put(key, value)));
    const seen = await first(it.client, keys.length, 1);
    expect(seen.map(({ key }) => key)).toEqual(keys);
  });

  test('that has seen nothing yet misses nothing when it goes on at another replica', async () => {
    await using it = await start();
    await it.client.put('before', '1');
    const begun = new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (it.stores[0]!.service.watchers === 0) return;
        clearInterval(look);
        resolve();
      }, 5);
    });
    const seen = first(it.client, 3);
    await begun;
    // Another answers to the watcher only after it has seen that this one is gone.
    const ended = it.stores[0]!.end();
    await it.stores[1]!.service.put('a', Buffer.from('1'));
    await it.stores[1]!.service.put('b', Buffer.from('2'));
    await ended;
    await it.stores[1]!.service.put('c', Buffer.from('3'));
    expect((await seen).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
  });

  test('does not go on in another store, made anew, that has outgrown its revision', async () => {
    await using old = await startStore();
    await using anew = await startStore();
    await old.service.put('a', Buffer.from('1'));
    for (let i = 0; i < 20; i++) await anew.service.put('b', Buffer.from('2'));
    const client = new KvClient([old.grpc, anew.grpc]);
    const { revision, log } = await client.list('');
    const seen = first(client, 2);
    while (old.service.watchers === 0) await new Promise((go) => setTimeout(go, 5));
    await old.service.put('a', Buffer.from('3'));
    await old.end();
    const refused = {
      code: status.FAILED_PRECONDITION,
      message: expect.stringContaining('list the keys anew'),
    };
    await expect(seen).rejects.toMatchObject(refused);
    await expect(first(client, 1, revision + 1, log)).rejects.toMatchObject(refused);
    expect(await first(client, 1, 1)).toMatchObject([{ key: 'b' }]);
    client.close();
  });

  /** How one watch on one replica ends. */
  function endOf(store: StartedStore): Promise<{ code: status; details: string }> {
    const connection = new Client(store.grpc, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = keyValue['Watch']!;
    const call = connection.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
      prefix: '',
    });
    call.resume();
    return new Promise((resolve) => {
      call.on('error', () => {});
      call.on('status', (ended) => {
        connection.close();
        resolve(ended);
      });
    });
  }

  test('is told to go elsewhere when its replica shuts down', async () => {
    await using it = await start(1);
    const ended = endOf(it.stores[0]!);
    while (it.stores[0]!.service.watchers === 0) await new Promise((go) => setTimeout(go, 5));
    await it.stores[0]!.end();
    expect(await ended).toMatchObject({
      code: status.UNAVAILABLE,
      details: expect.stringContaining('shuts down'),
    });
  });

  test('on a replica that fails ends, and goes on at another', async () => {
    const damaged = breakable(new MemoryLog());
    await using it = await start(2, damaged);
    const seen = first(it.client, 2);
    const ended = endOf(it.stores[0]!);
    while (it.stores[0]!.service.watchers < 2) await new Promise((go) => setTimeout(go, 5));
    await it.stores[1]!.service.put('a', Buffer.from('1'));
    damaged.fail();
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
    await it.stores[1]!.service.put('b', Buffer.from('2'));
    expect((await seen).map(({ key }) => key)).toEqual(['a', 'b']);
  });

  test('completes when its client is closed, whatever it waits for', async () => {
    await using it = await start(1);
    const client = new KvClient([it.stores[0]!.grpc]);
    const open = lastValueFrom(client.watch$('').pipe(toArray()));
    while (it.stores[0]!.service.watchers === 0) await new Promise((go) => setTimeout(go, 5));
    client.close();
    expect(await open).toEqual([]);
    expect(await lastValueFrom(client.watch$('').pipe(toArray()))).toEqual([]);
    while (it.stores[0]!.service.watchers > 0) await new Promise((go) => setTimeout(go, 5));
  });

  test('from what is no revision is refused', async () => {
    await using it = await start(1);
    for (const from of [Number.NaN, -1, 0.5])
      await expect(first(it.client, 1, from)).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
      });
  });

  test('from a revision that is forgotten everywhere says so', async () => {
    await using store = await startStore(new MemoryLog(), { changesMax: 10 });
    for (let i = 0; i < 30; i++) await store.service.put(`k-${i}`, Buffer.from('x'));
    const client = new KvClient([store.grpc]);
    await expect(first(client, 1, 1)).rejects.toMatchObject({ code: status.OUT_OF_RANGE });
    client.close();
  });
});

test.each([[[]], [['']]])('a client of no replica is refused: %j', (addresses) => {
  expect(() => new KvClient(addresses)).toThrow(/host:port/);
});

test('answers reach their callers in whatever order they come, and those of no call nobody', async () => {
  const server = new Server();
  const Session: handleBidiStreamingCall<{ calls: Call[] }, Answers> = (stream) =>
    stream.on('data', ({ calls }: { calls: Call[] }) => {
      const get = (key: string) => ({ found: true, value: Buffer.from(key), revision: 1, log: '' });
      const answers = calls.map((it) => ({ id: it.id, get: get(it.get!.key) })).reverse();
      const unknown = [0, 1_000_000, 2 ** 32 - 1].map((id) => ({ id, get: get('nobody') }));
      stream.write({ answers: [...unknown, ...answers, ...answers], log: '' });
    });
  server.addService(keyValue, { Session });
  const connection = new Client(await bind(server), credentials.createInsecure());
  // Answers that reach nobody end the calls, and so the test.
  const callStream = new CallStream(connection, 3_000, () => new Metadata());
  const keys = Array.from({ length: 600 }, (_, i) => `key-${i}`);
  try {
    for (let round = 0; round < 3; round++) {
      const found = await Promise.all(
        keys.map((key) => callStream.call('get', { key, stale: false })),
      );
      expect(found.map(({ value }) => text(value))).toEqual(keys);
    }
  } finally {
    callStream.close();
    connection.close();
    server.forceShutdown();
  }
});

test('a replica that does not answer is given up', async () => {
  const server = new Server();
  server.addService(keyValue, { Session: () => {} });
  const address = await bind(server);
  const connection = new Client(address, credentials.createInsecure());
  const callStream = new CallStream(connection, 100, () => new Metadata());
  const get = () => callStream.call('get', { key: 'a', stale: false });
  const calls = [get(), get()];
  for (const it of calls)
    await expect(it).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  // The next one tries again.
  const again = get();
  callStream.close();
  await expect(again).rejects.toMatchObject({ code: status.CANCELLED });
  await expect(get()).rejects.toMatchObject({ code: status.CANCELLED });
  connection.close();
  server.forceShutdown();
});
