import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { status } from '@grpc/grpc-js';
import { Etcd3 } from 'etcd3';
import { lastValueFrom, take } from 'rxjs';
import { MemoryLog } from 'varlog/testing';
import { KvClient } from './client.ts';
import { describeWith, EtcdClient } from './etcd/etcd.fixture.ts';
import { type StartedStore, startStore } from './store.fixture.ts';

const OLD = 'old-token-0123456789abcdef';
const NEW = 'new-token-0123456789abcdef';
const STRANGE = 'strange-token-0123456789abcdef';

describe('a store that asks for access tokens', () => {
  let store: StartedStore;
  beforeAll(async () => {
    store = await startStore(new MemoryLog(), {}, undefined, [OLD, NEW]);
  });
  afterAll(() => store.end());

  test.each([OLD, NEW])('lets its client in with %s: calls and watches', async (token) => {
    const client = new KvClient([store.grpc], { token });
    const { revision } = await client.put(token, 'x');
    const change = await lastValueFrom(client.watch$(token, revision).pipe(take(1)));
    expect(change.key).toBe(token);
    client.close();
  });

  test.each([undefined, STRANGE])('refuses it with %s, at once', async (token) => {
    const client = new KvClient([store.grpc, store.grpc], { token });
    const refused = {
      code: status.UNAUTHENTICATED,
      message: expect.stringMatching(/access token.*--token-file/),
    };
    await expect(client.put('a', 'x')).rejects.toMatchObject(refused);
    await expect(lastValueFrom(client.watch$('a'))).rejects.toMatchObject(refused);
    client.close();
  });

  test('asks for them over HTTP too, but not for the pages for operators', async () => {
    const ask = async (path: string, token?: string, init: RequestInit = {}) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const reply = await fetch(`${store.http}${path}`, { ...init, headers });
      await reply.body?.cancel();
      return reply.status;
    };
    expect(await ask('/kv/h', NEW, { method: 'PUT', body: 'x' })).toBe(201);
    expect(await ask('/kv/h', OLD)).toBe(200);
    for (const path of ['/kv/h', '/kv?prefix=', '/watch', '/nothing', '/livez/', '//livez', '/']) {
      expect([path, await ask(path)]).toEqual([path, 401]);
      expect([path, await ask(path, STRANGE)]).toEqual([path, 401]);
    }
    expect(await ask('/kv/h', undefined, { method: 'DELETE' })).toBe(401);
    // This store has no such pages, and would say so.
    for (const path of ['/livez', '/readyz', '/metrics'])
      expect([path, await ask(path)]).toEqual([path, 404]);
    const reply = await fetch(`${store.http}/kv/h`, {
      headers: { authorization: `Bearer ${STRANGE}` },
    });
    expect(reply.headers.get('www-authenticate')).toBe('Bearer');
    const text = await reply.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'UNAUTHENTICATED', outcome: 'notAppended' });
    expect(text).not.toContain(STRANGE);
  });

  describe('to clients of etcd', () => {
    test('gives a token for a password that is one, whatever the name', async () => {
      const client = new EtcdClient(store.grpc);
      const authenticate = (password: string) =>
        client.outcome('Auth.Authenticate', { name: 'anybody', password });
      expect(await authenticate(NEW)).toMatchObject({ token: NEW });
      for (const it of ['', STRANGE])
        expect(await authenticate(it)).toEqual({
          code: status.INVALID_ARGUMENT,
          details: 'etcdserver: authentication failed, invalid user ID or password',
        });
      for (const [method, request] of [
        ['KV.Range', { key: Buffer.from('a') }],
        ['KV.Put', { key: Buffer.from('a') }],
        ['Lease.LeaseGrant', { TTL: 60 }],
        ['Cluster.MemberList', {}],
        ['Maintenance.Status', {}],
      ] as const)
        expect(await client.outcome(method, request)).toMatchObject({
          code: status.UNAUTHENTICATED,
        });
      const watching = client.stream('Watch.Watch');
      const failed = new Promise((resolve) => watching.on('error', resolve));
      expect(await failed).toMatchObject({ code: status.UNAUTHENTICATED });
      client.close();
    });

    test('serves the client etcd3 with a password', async () => {
      const auth = { username: 'anybody', password: OLD };
      const client = new Etcd3({ hosts: store.grpc, auth });
      await client.put('etcd3').value('1');
      const watcher = await client.watch().key('etcd3').create();
      const changed = new Promise((resolve) =>
        watcher.on('put', ({ value }) => resolve(`${value}`)),
      );
      await client.put('etcd3').value('2');
      expect(await changed).toBe('2');
      await watcher.cancel();
      client.close();
      const other = new Etcd3({ hosts: store.grpc, auth: { ...auth, password: STRANGE } });
      await expect(other.get('etcd3').string()).rejects.toThrow('authentication failed');
      other.close();
      const none = new Etcd3({ hosts: store.grpc });
      await expect(none.get('etcd3').string()).rejects.toThrow('access token');
      none.close();
    });
  });

  describeWith('etcdctl', 'to etcdctl', () => {
    const etcdctl = async (...args: string[]): Promise<string> => {
      const limits = ['--command-timeout', '20s', '--endpoints', store.grpc];
      const env = { ...process.env, ETCDCTL_API: '3' };
      return (await promisify(execFile)('etcdctl', [...limits, ...args], { env })).stdout;
    };

    test('is open with --user, and closed without', async () => {
      const user = ['--user', `anybody:${NEW}`];
      expect(await etcdctl(...user, 'put', 'ctl', '1')).toBe('OK\n');
      expect(await etcdctl(...user, 'get', 'ctl')).toBe('ctl\n1\n');
      expect(await etcdctl(...user, 'lock', 'name', 'echo', 'held')).toBe('held\n');
      await expect(etcdctl('get', 'ctl')).rejects.toThrow(/Unauthenticated/);
      const stranger = etcdctl('--user', `anybody:${STRANGE}`, 'get', 'ctl');
      await expect(stranger).rejects.toThrow(/authentication failed, invalid user ID or password/);
    });
  });
});
