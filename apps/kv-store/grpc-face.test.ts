import { Client, credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { startReplica } from 'varlog/smr';
import { freeAddresses, MemoryLog } from 'varlog/testing';
import { KvClient } from './client.ts';
import { serveGrpc } from './grpc-face.ts';
import { KvMachine } from './machine.ts';
import { keyValue } from './proto.ts';
import { KvService } from './service.ts';
import { Session } from './session.ts';

/** Replicas on one log, each with its gRPC face. */
async function start(size = 2) {
  const log = new MemoryLog();
  const closers: (() => Promise<void>)[] = [];
  const servers: Server[] = [];
  const addresses = await freeAddresses(size);
  for (const address of addresses) {
    const replica = await startReplica({ machine: new KvMachine(), log });
    closers.push(() => replica.close());
    servers.push(await serveGrpc(new KvService(replica), address));
  }
  const client = new KvClient(addresses);
  return {
    addresses,
    servers,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      for (const it of servers) it.forceShutdown();
      for (const close of closers) await close();
    },
  };
}

function bind(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
    );
  });
}

describe('the gRPC face', () => {
  test('answers many calls at once, each with its own reply', async () => {
    await using it = await start();
    const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`);
    const written = await Promise.all(keys.map((key) => it.client.put(key, `of ${key}`)));
    expect(new Set(written.map(({ revision }) => revision)).size).toBe(keys.length);
    const found = await Promise.all(keys.map((key) => it.client.get(key)));
    expect(found).toEqual(
      keys.map((key, i) => ({ value: `of ${key}`, revision: written[i]!.revision })),
    );
    const { revision } = written[0]!;
    expect(await it.client.compareAndSet('key-0', revision + 1, 'x')).toMatchObject({
      done: false,
      revision,
    });
    expect((await it.client.compareAndSet('key-0', revision, 'x')).done).toBe(true);
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
      expect(await it.client.get(key)).toEqual({ value: `${i}`, revision });
      if (i === 20) it.servers[0]!.forceShutdown();
      expect((await it.client.put(key, 'again')).revision).toBeGreaterThan(revision);
    });
    await Promise.all(puts);
    const { items, revision } = await it.client.list('key-');
    expect(items.map(({ value }) => value)).toEqual(puts.map(() => 'again'));
    expect(revision).toBeGreaterThanOrEqual(400);
  });

  test('takes calls by themselves too', async () => {
    await using it = await start(1);
    const connection = new Client(it.addresses[0]!, credentials.createInsecure());
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
    expect(await call('Get', { key: 'a' })).toEqual({ found: true, value: '1', revision });
    expect(await call('Put', { key: 'a', value: '2' })).toMatchObject({ done: true });
    await expect(call('Put', { key: '' })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    connection.close();
  });
});

test('a replica that does not answer is given up', async () => {
  const server = new Server();
  server.addService(keyValue, { Session: () => {} });
  const address = await bind(server);
  const connection = new Client(address, credentials.createInsecure());
  const session = new Session(connection, 100);
  const get = () => session.call('get', { key: 'a', stale: false });
  const calls = [get(), get()];
  for (const it of calls)
    await expect(it).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  // The next one tries again.
  const again = get();
  session.close();
  await expect(again).rejects.toMatchObject({ code: status.CANCELLED });
  await expect(get()).rejects.toMatchObject({ code: status.CANCELLED });
  connection.close();
  server.forceShutdown();
});
