import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { startReplica } from 'varlog/smr';
import { MemoryLog } from 'varlog/testing';
import { makeHttpFace } from './http-face.ts';
import { type Change, type KvCommand, KvMachine } from './machine.ts';
import { KvService } from './service.ts';

const context = (position: number) => ({ position, time: 0, random: () => 0 });
const key = fc.constantFrom('a', 'b', 'ab');
const command: fc.Arbitrary<KvCommand> = fc.oneof(
  fc.record({ op: fc.constant('put' as const), key, value: fc.string() }),
  fc.record({ op: fc.constant('delete' as const), key }),
  fc.record({
    op: fc.constant('compareAndSet' as const),
    key,
    expected: fc.nat(20),
    value: fc.string(),
  }),
);

describe('the replicated map', () => {
  test('its changes, replayed, give its content; a snapshot carries everything on', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), fc.nat(40), (commands, cut) => {
        const whole = new KvMachine();
        let parts = new KvMachine();
        commands.forEach((it, i) => {
          if (i === cut) {
            const { ...snapshot } = structuredClone(parts.snapshot());
            parts = new KvMachine();
            parts.restore(snapshot);
          }
          expect(parts.apply(it, context(i + 1))).toEqual(whole.apply(it, context(i + 1)));
        });
        expect(parts.list('')).toEqual(whole.list(''));
        const replayed = new Map<string, string>();
        for (const { key: changed, value } of whole.changesFrom(1) ?? []) {
          if (value === undefined) replayed.delete(changed);
          else replayed.set(changed, value);
        }
        expect(whole.list('').map((it) => [it.key, it.value])).toEqual([...replayed].sort());
      }),
    );
  });

  test('a request id takes effect once, also across a snapshot', () => {
    const machine = new KvMachine();
    const put: KvCommand = { op: 'put', key: 'a', value: '1', requestId: 'x' };
    const first = machine.apply(put, context(1));
    machine.apply({ op: 'put', key: 'a', value: '2' }, context(2));
    const other = new KvMachine();
    other.restore(structuredClone(machine.snapshot()));
    expect(other.apply(put, context(3))).toEqual(first);
    expect(other.get('a')?.value).toBe('2');
  });
});

describe('the service', () => {
  async function start() {
    const replica = await startReplica({ machine: new KvMachine(), log: new MemoryLog() });
    const service = new KvService(replica);
    const server = makeHttpFace(service);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      service,
      url,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await replica.close();
      },
    };
  }

  test('a watcher sees every change from its revision on, once, in order', async () => {
    await using it = await start();
    const { revision } = await it.service.put('a', '1');
    await it.service.put('b', '2');
    const seen: Change[] = [];
    const watching = it.service.watch$('a', revision).subscribe((change) => seen.push(change));
    await it.service.put('a', '3');
    await it.service.delete('a');
    expect(seen.map((change) => change.value)).toEqual(['1', '3', undefined]);
    watching.unsubscribe();
  });

  test('conditions are told by ETag, If-Match and If-None-Match', async () => {
    await using it = await start();
    const put = (value: string, headers: Record<string, string> = {}) =>
      fetch(`${it.url}/kv/a`, { method: 'PUT', body: value, headers });
    const first = await put('1', { 'if-none-match': '*' });
    expect(first.status).toBe(200);
    expect((await put('2', { 'if-none-match': '*' })).status).toBe(412);
    expect((await put('2', { 'if-match': first.headers.get('etag')! })).status).toBe(200);
    expect((await put('3', { 'if-match': first.headers.get('etag')! })).status).toBe(412);
    const found = await fetch(`${it.url}/kv/a`);
    expect([found.status, await found.text()]).toEqual([200, '2']);
    expect((await fetch(`${it.url}/kv/b`)).status).toBe(404);
    expect((await fetch(`${it.url}/kv/a`, { method: 'DELETE' })).status).toBe(200);
    expect((await fetch(`${it.url}/kv/a`)).status).toBe(404);
  });

  test('server-sent events go on behind the last one that was seen', async () => {
    await using it = await start();
    const { revision } = await it.service.put('a', '1');
    await it.service.put('a', '2');
    const headers = { 'last-event-id': String(revision) };
    const reply = await fetch(`${it.url}/watch?prefix=a`, { headers });
    const { value } = await reply.body!.getReader().read();
    expect(new TextDecoder().decode(value)).toContain('"value":"2"');
    expect(new TextDecoder().decode(value)).not.toContain('"value":"1"');
  });

  test.each([
    ['PUT', '/kv/', 'INVALID_ARGUMENT', 400],
    ['PUT', '/kv/%', 'INVALID_ARGUMENT', 400],
    ['PUT', '/kv/long', 'ENTRY_TOO_LARGE', 413],
    ['GET', '/watch?from=x', 'INVALID_ARGUMENT', 400],
  ])('%s %s is refused with %s', async (method, path, code, status) => {
    await using it = await start();
    const body = 'x'.repeat(path === '/kv/long' ? 512 * 1024 + 1 : 1);
    const reply = await fetch(it.url + path, { method, ...(method === 'PUT' && { body }) });
    expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([status, code]);
    expect((await it.service.list('')).items).toEqual([]);
  });
});
