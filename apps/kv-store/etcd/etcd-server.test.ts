import { connect } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { MemoryLog } from 'varlog/testing';
import { breakable, type StartedStore, startStore } from '../store.fixture.ts';
import { EtcdClient, type Stream } from './etcd.fixture.ts';
import type { WatchResponse } from './messages.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
const ALL = { key: bytes('\0'), rangeEnd: bytes('\0') };

/** Replicas on one log, and a client of each. */
async function start(size = 1, limits = {}, heartbeatMs?: number) {
  const log = new MemoryLog();
  const stores: StartedStore[] = [];
  for (let i = 0; i < size; i++) stores.push(await startStore(log, limits, heartbeatMs));
  const clients = stores.map((it) => new EtcdClient(it.grpc));
  return {
    stores,
    clients,
    client: clients[0]!,
    put: async (key: string, value: string, more = {}): Promise<number> => {
      const put = { key: bytes(key), value: bytes(value), ...more };
      const { header } = await clients[0]!.call('KV.Put', put);
      return (header as { revision: number }).revision;
    },
    async [Symbol.asyncDispose]() {
      for (const it of clients) it.close();
      for (const it of stores) await it.end();
    },
  };
}

/** What a stream of watches says, one answer after the other. */
class Watching {
  readonly stream: Stream;
  private readonly answers: AsyncIterator<WatchResponse>;

  constructor(client: EtcdClient) {
    this.stream = client.stream('Watch.Watch');
    this.stream.on('error', () => {});
    this.answers = this.stream[Symbol.asyncIterator]() as AsyncIterator<WatchResponse>;
  }

  create(request: object): void {
    this.stream.write({ createRequest: request });
  }

  async next(): Promise<WatchResponse> {
    const { value, done } = await this.answers.next();
    if (done === true) throw new Error('the stream is over');
    return value as WatchResponse;
  }

  /** Until so many events came: `key=value` of a put, and `key` of a deletion. */
  async events(count: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < count) {
      const { events = [] } = await this.next();
      for (const { type, kv } of events)
        found.push(type === 1 ? text(kv.key) : `${text(kv.key)}=${text(kv.value)}`);
    }
    return found;
  }
}

describe('a watch of etcd', () => {
  test('begins where it is told to, brings whole revisions, and what was there before', async () => {
    await using it = await start();
    const first = await it.put('a', '1');
    await it.put('b', '1');
    const requestTxn = {
      success: [
        { requestPut: { key: bytes('a'), value: bytes('2') } },
        { requestDeleteRange: { key: bytes('b') } },
        { requestPut: { key: bytes('c'), value: bytes('2') } },
      ],
    };
    await it.client.call('KV.Txn', requestTxn);
    const watching = new Watching(it.client);
    watching.create({ ...ALL, startRevision: first + 1, prevKv: true });
    expect(await watching.next()).toMatchObject({ watchId: 0, created: true, canceled: false });
    const seen: unknown[] = [];
    while (seen.length < 4) {
      const { events = [], header } = await watching.next();
      expect(header!.revision).toBeGreaterThanOrEqual(events.at(-1)!.kv.modRevision);
      for (const { type, kv, prevKv } of events)
        seen.push([type, text(kv.key), text(kv.value), kv.modRevision, text(prevKv?.value)]);
    }
    expect(seen).toEqual([
      [0, 'b', '1', first + 1, ''],
      [0, 'a', '2', first + 2, '1'],
      [1, 'b', '', first + 2, '1'],
      [0, 'c', '2', first + 2, ''],
    ]);
    watching.stream.cancel();
  });

  test('is one of many on a stream, each with its range and its filters, and ends when it is told to', async () => {
    await using it = await start();
    const watching = new Watching(it.client);
    watching.create({ key: bytes('a'), watchId: 7, filters: [1] });
    watching.create({ key: bytes('b'), rangeEnd: bytes('d'), filters: [0] });
    watching.create({ key: bytes('b'), watchId: 7 });
    const answers = [await watching.next(), await watching.next(), await watching.next()];
    const created = answers.filter(({ canceled }) => canceled !== true);
    expect(created.map(({ watchId }) => watchId).sort()).toEqual([0, 7]);
    expect(answers.find(({ canceled }) => canceled)).toMatchObject({
      watchId: -1,
      created: true,
      cancelReason: expect.stringContaining('duplicate watch ID'),
    });
    for (const rangeEnd of [bytes('a'), bytes('b')]) {
      watching.create({ key: bytes('b'), rangeEnd });
      expect(await watching.next()).toMatchObject({
        ...{ watchId: -1, created: true, canceled: true },
        cancelReason: 'mvcc: watcher range is empty',
      });
    }
    for (const key of ['a', 'c', 'd']) {
      await it.put(key, '1');
      await it.client.call('KV.DeleteRange', { key: bytes(key) });
    }
    expect((await watching.events(2)).sort()).toEqual(['a=1', 'c']);
    watching.stream.write({ cancelRequest: { watchId: 7 } });
    expect(await watching.next()).toMatchObject({ watchId: 7, canceled: true });
    await it.put('a', '2');
    await it.client.call('KV.DeleteRange', ALL);
    await it.put('b', '3');
    await it.client.call('KV.DeleteRange', { key: bytes('b') });
    expect(await watching.events(1)).toEqual(['b']);
    watching.stream.end();
    await expect(watching.next()).rejects.toThrow('over');
    expect(it.stores[0]!.service.watchers).toBe(0);
  });

  test('of what was compacted is canceled, with the revision from which on there is something', async () => {
    await using it = await start();
    for (let i = 0; i < 5; i++) await it.put('a', `${i}`);
    await it.client.call('KV.Compact', { revision: 4 });
    const watching = new Watching(it.client);
    watching.create({ key: bytes('a'), startRevision: 3 });
    expect(await watching.next()).toMatchObject({ created: true, canceled: false });
    expect(await watching.next()).toMatchObject({ canceled: true, compactRevision: 4 });
    watching.create({ key: bytes('a'), startRevision: -1 });
    expect(await watching.next()).toMatchObject({ created: true, canceled: false });
    expect(await watching.next()).toMatchObject({ canceled: true, compactRevision: 4 });
    watching.create({ key: bytes('a'), startRevision: 4 });
    expect(await watching.next()).toMatchObject({ created: true });
    expect(await watching.events(3)).toEqual(['a=2', 'a=3', 'a=4']);
    watching.stream.cancel();
  });

  test('says how far it has come, when it is asked and now and then', async () => {
    await using it = await start(1, {}, 50);
    const watching = new Watching(it.client);
    watching.create({ key: bytes('a'), progressNotify: true });
    watching.create({ key: bytes('a') });
    for (let i = 0; i < 2; i++) expect(await watching.next()).toMatchObject({ created: true });
    const revision = await it.put('b', '1');
    for (let asked = 0; asked < revision; ) {
      watching.stream.write({ progressRequest: {} });
      const { watchId, header, events } = await watching.next();
      expect(events).toEqual([]);
      if (watchId === -1) asked = header!.revision;
      else expect(watchId).toBe(0);
      expect(header!.revision).toBeLessThanOrEqual(revision);
    }
    for (let told = 0; told < revision; ) {
      const { watchId, header } = await watching.next();
      if (watchId === 0) told = header!.revision;
    }
    watching.stream.cancel();
  });

  test('never says that it has come further than its events', async () => {
    await using it = await start();
    const { service } = it.stores[0]!;
    const puts = Array.from({ length: 3_000 }, (_, i) => service.put(`${i}`, bytes('x')));
    const newest = Math.max(...(await Promise.all(puts)).map(({ revision }) => revision));
    const watching = new Watching(it.client);
    watching.create({ ...ALL, startRevision: 1 });
    let told = 0;
    for (let seen = 1; seen < newest || told < newest; ) {
      watching.stream.write({ progressRequest: {} });
      const { watchId, header, events = [] } = await watching.next();
      for (const { kv } of events) {
        expect(kv.modRevision).toBeGreaterThan(told);
        seen = kv.modRevision;
      }
      if (watchId === -1) told = header!.revision;
      expect(told).toBeLessThanOrEqual(seen);
    }
    watching.stream.cancel();
  });

  test('that goes on at another replica has each revision once, in order', async () => {
    await using it = await start(3);
    const count = 300;
    let at = 0;
    const seen: number[] = [];
    const watch = async (): Promise<void> => {
      while (seen.length < count) {
        const watching = new Watching(it.clients[at]!);
        watching.create({ ...ALL, startRevision: (seen.at(-1) ?? 1) + 1 });
        try {
          while (seen.length < count) {
            const { events = [] } = await watching.next();
            seen.push(...events.map(({ kv }) => kv.modRevision));
          }
          watching.stream.cancel();
        } catch {
          // The stream ended with its replica.
          at++;
        }
      }
    };
    const watched = watch();
    for (let i = 0; i < count; i++) {
      await it.stores[2]!.service.put(`${i}`, bytes('x'));
      if (i === 100) await it.stores[0]!.end();
      if (i === 200) await it.stores[1]!.end();
    }
    await watched;
    expect(at).toBe(2);
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => i + 2));
  });

  test('that nobody reads costs no more than what is on its way', async () => {
    await using it = await start(1, { bytesMax: 1024 * 1024 });
    const watching = new Watching(it.client);
    watching.create({ ...ALL, startRevision: 1 });
    await watching.next();
    watching.stream.pause();
    const value = Buffer.alloc(100_000);
    for (let i = 0; i < 60; i++) await it.stores[0]!.service.put('a', value);
    expect(it.stores[0]!.service.machine.history.bytes).toBeLessThan(1_300_000);
    // What it missed was forgotten meanwhile, and it hears of that instead.
    let seen = 0;
    for (let over = false; !over; ) {
      const { events = [], canceled } = await watching.next();
      seen += events.length;
      over = canceled === true;
    }
    expect(seen).toBeLessThan(60);
    watching.stream.cancel();
  });

  test('ends when its replica fails', async () => {
    const damaged = breakable(new MemoryLog());
    await using store = await startStore(damaged.log);
    await store.service.put('a', bytes('1'));
    const client = new EtcdClient(store.grpc);
    const stream = client.stream('Watch.Watch');
    const ended = new Promise((resolve) => stream.on('error', resolve));
    stream.on('data', () => damaged.fail());
    stream.write({ createRequest: ALL });
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
    client.close();
  });
});

describe('a lease of etcd', () => {
  test('ends by itself with its keys, unless it is kept alive', async () => {
    await using it = await start(2);
    const grant = async (TTL: number) =>
      (await it.client.call('Lease.LeaseGrant', { TTL }))['ID'] as number;
    // Without anybody the second one would end first.
    const [alone, kept] = [await grant(3), await grant(2)];
    await it.put('a', '1', { lease: alone });
    await it.put('b', '1', { lease: kept });
    const watching = new Watching(it.clients[1]!);
    watching.create(ALL);
    await watching.next();
    const alive = it.client.stream('Lease.LeaseKeepAlive');
    const answers: unknown[] = [];
    alive.on('data', (answer) => answers.push(answer['TTL']));
    const keeping = setInterval(() => alive.write({ ID: kept }), 200);
    expect(await watching.events(1)).toEqual(['a']);
    expect(await it.client.call('Lease.LeaseLeases', {})).toMatchObject({ leases: [{ ID: kept }] });
    clearInterval(keeping);
    await it.client.call('Lease.LeaseRevoke', { ID: kept });
    expect(await watching.events(1)).toEqual(['b']);
    expect(new Set(answers)).toEqual(new Set([2]));
    alive.end();
    watching.stream.cancel();
  });

  test('is kept alive no more often than somebody takes the answers', async () => {
    await using it = await start();
    await it.client.call('Lease.LeaseGrant', { ID: 1, TTL: 600 });
    const { replica, grpc } = it.stores[0]!;
    const asked = 20_000;
    const session = connect(`http://${grpc}`);
    const path = '/etcdserverpb.Lease/LeaseKeepAlive';
    const stream = session.request({
      ...{ ':path': path, ':method': 'POST' },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    });
    for (const part of [session, stream]) part.on('error', () => {});
    const request = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);
    stream.end(Buffer.concat(Array.from({ length: asked }, () => request)));
    let before = -1;
    while (before !== replica.position || before < 1_000) {
      before = replica.position;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(before).toBeLessThan(asked / 2);
    // Once they are taken, the others come too.
    stream.resume();
    await new Promise((resolve) => stream.once('end', resolve));
    expect(replica.position).toBeGreaterThan(asked);
    await new Promise<void>((resolve) => session.close(resolve));
  }, 60_000);

  test('that is not there is told so', async () => {
    await using it = await start();
    const stream = it.client.stream('Lease.LeaseKeepAlive');
    const answers: unknown[] = [];
    stream.on('data', (answer) => answers.push([answer['ID'], answer['TTL']]));
    const over = new Promise((resolve) => stream.on('end', resolve));
    stream.write({ ID: 5 });
    stream.end({ ID: 6 });
    await over;
    expect(answers.sort()).toEqual([
      [5, 0],
      [6, 0],
    ]);
    expect(await it.client.call('Lease.LeaseTimeToLive', { ID: 5 })).toMatchObject({ TTL: -1 });
    const refused: [string, object, status, string][] = [
      ['Lease.LeaseRevoke', { ID: 5 }, status.NOT_FOUND, 'requested lease not found'],
      ['KV.Put', { key: bytes('a'), lease: -1 }, status.NOT_FOUND, 'requested lease not found'],
      ['KV.Put', { key: bytes('a'), lease: 2 ** 60 }, status.NOT_FOUND, 'requested lease'],
      ['Lease.LeaseGrant', { ID: 1, TTL: 1e10 }, status.OUT_OF_RANGE, 'too large lease TTL'],
      ['Lease.LeaseGrant', { ID: -1, TTL: 1 }, status.INVALID_ARGUMENT, 'lease ids are'],
      ['Lease.LeaseGrant', { ID: 2 ** 60, TTL: 1 }, status.INVALID_ARGUMENT, 'lease ids are'],
    ];
    for (const [method, request, code, details] of refused)
      expect(await it.client.outcome(method, request)).toEqual({
        code,
        details: expect.stringContaining(`etcdserver: ${details}`),
      });
  });
});

test('what makes no sense is refused in the words of etcd', async () => {
  await using it = await start();
  const key = bytes('a');
  const { INVALID_ARGUMENT, FAILED_PRECONDITION } = status;
  const requestPut = { key, value: bytes('x') };
  const twice = { success: [{ requestPut }, { requestPut }] };
  const within = { success: [{ requestPut }, { requestTxn: { failure: [{ requestPut }] } }] };
  const both = {
    success: [{ requestPut }, { requestDeleteRange: ALL }],
  };
  const branches = { success: [{ requestPut }], failure: [{ requestPut }] };
  expect(await it.client.outcome('KV.Txn', branches)).toMatchObject({ succeeded: true });
  const nested = { success: [{ requestTxn: branches }] };
  expect(await it.client.outcome('KV.Txn', nested)).toMatchObject({ succeeded: true });
  const many = { success: Array.from({ length: 129 }, () => ({ requestRange: { key } })) };
  const large = { key, value: Buffer.alloc(1_000_001) };
  const compare = [{ target: 2, result: 2, key, modRevision: 2 ** 60 }];
  const numbers = 'revisions, versions and lease ids are whole numbers below 2^53 here';
  const refused: [string, object, status, string][] = [
    ['KV.Txn', { compare, ...branches }, INVALID_ARGUMENT, numbers],
    [
      'KV.Txn',
      { success: [{ requestRange: { key, revision: 2 ** 60 } }] },
      INVALID_ARGUMENT,
      numbers,
    ],
    // What a later version may mean by them must not get into the log: no replica could tell whether it holds.
    ...[{ target: 9 }, { result: 9 }].map((it): [string, object, status, string] => [
      'KV.Txn',
      { compare: [{ key: bytes('absent'), ...it }], ...branches },
      INVALID_ARGUMENT,
      `a comparison ${'target' in it ? 'with target' : 'for result'} 9 is not known`,
    ]),
    ...[
      ['KV.Txn', { success: [{ requestRange: { key, revision: -1 } }] }] as const,
      ['KV.Compact', { revision: -1 }] as const,
    ].map(([method, request]): [string, object, status, string] => [
      method,
      request,
      status.OUT_OF_RANGE,
      'mvcc: required revision has been compacted',
    ]),
    ['KV.Range', { key, sortTarget: 9 }, INVALID_ARGUMENT, 'invalid sort option'],
    [
      'KV.Txn',
      { success: [{ requestRange: { key, sortOrder: 9 } }] },
      INVALID_ARGUMENT,
      'invalid sort option',
    ],
    ['KV.Range', {}, INVALID_ARGUMENT, 'key is not provided'],
    ['KV.Put', {}, INVALID_ARGUMENT, 'key is not provided'],
    ['KV.DeleteRange', {}, INVALID_ARGUMENT, 'key is not provided'],
    ['KV.Txn', twice, INVALID_ARGUMENT, 'duplicate key given in txn request'],
    ['KV.Txn', within, INVALID_ARGUMENT, 'duplicate key given in txn request'],
    ['KV.Txn', both, INVALID_ARGUMENT, 'duplicate key given in txn request'],
    ['KV.Txn', many, INVALID_ARGUMENT, 'too many operations in txn request'],
    ['KV.Txn', { success: [{}] }, INVALID_ARGUMENT, 'key not found'],
    ['KV.Put', large, INVALID_ARGUMENT, 'request is too large'],
    ['KV.Put', { ...requestPut, ignoreValue: true }, INVALID_ARGUMENT, 'value is provided'],
    ['KV.Put', { key, lease: 1, ignoreLease: true }, INVALID_ARGUMENT, 'lease is provided'],
    ['Auth.Authenticate', {}, FAILED_PRECONDITION, 'authentication is not enabled'],
  ];
  for (const [method, request, code, details] of refused)
    expect(await it.client.outcome(method, request)).toEqual({
      code,
      details: `etcdserver: ${details}`,
    });
  for (const action of [0, 2])
    expect(await it.client.call('Maintenance.Alarm', { action })).toMatchObject({ alarms: [] });
  for (const action of [1, 9])
    expect(await it.client.outcome('Maintenance.Alarm', { action })).toEqual({
      code: status.UNIMPLEMENTED,
      details: 'etcdserver: alarms cannot be raised here',
    });
});

test('what is read is as new as the log, also by a transaction that only compares, unless all of it may be stale', async () => {
  const log = new MemoryLog();
  let asked = 0;
  const tail: typeof log.tail = (options) => {
    asked++;
    return log.tail(options);
  };
  await using store = await startStore(Object.assign(Object.create(log), { tail }));
  const client = new EtcdClient(store.grpc);
  const key = bytes('a');
  await client.call('KV.Put', { key });
  const asks = async (request: object): Promise<boolean> => {
    const before = asked;
    await client.call('KV.Txn', request);
    return asked > before;
  };
  const stale = { requestRange: { key, serializable: true } };
  expect(await asks({ compare: [{ key }] })).toBe(true);
  expect(await asks({ success: [stale, { requestTxn: {} }] })).toBe(true);
  expect(await asks({ success: [stale, { requestRange: { key } }] })).toBe(true);
  expect(await asks({ compare: [{ key }], success: [stale] })).toBe(false);
  client.close();
});

test('an answer that would be too large is refused before anything is written', async () => {
  await using it = await start();
  const value = Buffer.alloc(500_000);
  for (let i = 0; i < 40; i++) await it.stores[0]!.service.put(`${i}`, value);
  const tooLarge = { code: status.RESOURCE_EXHAUSTED, details: expect.stringContaining('limit') };
  expect(await it.client.outcome('KV.Range', ALL)).toEqual(tooLarge);
  const { revision } = it.stores[0]!.service.machine;
  const put = { requestPut: { key: bytes('x'), value: bytes('y') } };
  for (const other of [
    { requestRange: ALL },
    { requestDeleteRange: { ...ALL, key: bytes('0'), rangeEnd: bytes('4'), prevKv: true } },
  ])
    expect(await it.client.outcome('KV.Txn', { success: [put, other] })).toEqual(tooLarge);
  expect(it.stores[0]!.service.machine.revision).toBe(revision);
  expect(await it.client.outcome('KV.Range', { ...ALL, limit: 5 })).toMatchObject({
    count: 40,
    more: true,
  });
});

test('keys that are no text are shown as what they are by the other interfaces', async () => {
  await using it = await start();
  const key = Uint8Array.of(0xff, 0);
  await it.client.call('KV.Put', { key, value: bytes('1') });
  const { items } = await it.stores[0]!.service.list('');
  expect(items).toMatchObject([{ key: '', keyBytes: Buffer.from(key) }]);
  const reply = await fetch(`${it.stores[0]!.http}/kv`);
  expect(await reply.json()).toMatchObject({ items: [{ keyBase64: '/wA=', value: '1' }] });
});
