import fc from 'fast-check';
import type { OrderedLog } from 'varlog/log';
import { MemoryLog } from 'varlog/testing';
import { breakable, startStore } from './store.fixture.ts';

type Headers = Record<string, string>;

async function store(log: OrderedLog = new MemoryLog()) {
  const it = await startStore(log);
  const ask = (method: string, path: string, headers: Headers = {}, body?: RequestInit['body']) =>
    fetch(it.http + path, { method, headers, ...(body !== undefined && { body }) });
  return { ask, http: it.http, service: it.service, [Symbol.asyncDispose]: () => it.end() };
}

describe('a condition', () => {
  test('is one of the entity tags in If-Match or If-None-Match, or *, on each method', async () => {
    await using it = await store();
    const first = await it.ask('PUT', '/kv/a', { 'if-none-match': '*' }, '1');
    expect(first.status).toBe(201);
    const old = first.headers.get('etag')!;
    const put = async (headers: Headers) => (await it.ask('PUT', '/kv/a', headers, 'x')).status;
    expect(await put({ 'if-none-match': '*' })).toBe(412);
    expect(await put({ 'if-none-match': `"17", ${old}` })).toBe(412);
    expect(await put({ 'if-match': `"17",${old}` })).toBe(200);
    expect(await put({ 'if-match': old })).toBe(412);
    expect(await put({ 'if-match': '*' })).toBe(200);
    expect(await put({ 'if-none-match': old })).toBe(200);
    const { headers } = await it.ask('GET', '/kv/a');
    const now = headers.get('etag')!;
    expect(await put({ 'if-match': `W/${now}` })).toBe(412);
    expect(await put({ 'if-match': '"of another server"' })).toBe(412);

    const get = async (conditions: Headers) => (await it.ask('GET', '/kv/a', conditions)).status;
    expect(await get({ 'if-none-match': now })).toBe(304);
    expect(await get({ 'if-none-match': `W/${now}` })).toBe(304);
    expect(await get({ 'if-none-match': old })).toBe(200);
    expect(await get({ 'if-match': old })).toBe(412);

    const remove = async (conditions: Headers) =>
      (await it.ask('DELETE', '/kv/a', conditions)).status;
    expect(await remove({ 'if-match': old })).toBe(412);
    expect(await get({})).toBe(200);
    expect(await remove({ 'if-match': now })).toBe(200);
    expect(await get({})).toBe(404);
    expect(await remove({})).toBe(404);
    expect(await remove({ 'if-match': '*' })).toBe(412);
    expect(await put({ 'if-match': '*' })).toBe(412);
    expect((await it.service.list('')).items).toEqual([]);
  });

  test('of another log holds for nothing, also where the revision is the same', async () => {
    await using old = await store();
    await using it = await store();
    const written = async ({ ask }: typeof it) => {
      const reply = await ask('PUT', '/kv/a', {}, '1');
      return { etag: reply.headers.get('etag')!, revision: (await reply.text()).trim() };
    };
    const [other, own] = [await written(old), await written(it)];
    expect(other.revision).toBe(own.revision);
    const ask = async (method: string, headers: Headers) =>
      (await it.ask(method, '/kv/a', headers)).status;
    for (const method of ['PUT', 'DELETE', 'GET'])
      expect(await ask(method, { 'if-match': other.etag })).toBe(412);
    expect(await ask('GET', { 'if-none-match': other.etag })).toBe(200);
    for (const condition of [own.etag, `"${own.revision}"`, own.revision])
      expect(await ask('GET', { 'if-match': condition })).toBe(200);
    expect(await ask('DELETE', { 'if-match': own.etag })).toBe(200);
  });

  test.each(['""x', '"1', '1 2', 'W/', '-1', '"1" "2"'])('%s is none', async (condition) => {
    await using it = await store();
    for (const method of ['PUT', 'DELETE', 'GET']) {
      const reply = await it.ask(method, '/kv/a', { 'if-match': condition });
      expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([
        400,
        'INVALID_ARGUMENT',
      ]);
    }
  });
});

test('a value comes back byte by byte, and a key character by character', async () => {
  await using it = await store();
  const key = fc.oneof(
    fc.constantFrom('..', '.', 'a/b', '%', '?', '#', '//', 'a/../b', ' '),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(key, fc.uint8Array({ maxLength: 100 }), async (name, value) => {
      // A URL in a program loses dots; what is sent must not.
      const path = `/kv/${encodeURIComponent(name)}`;
      if (name === '.' || name === '..') {
        await it.service.put(name, value);
      } else {
        const written = await it.ask('PUT', path, {}, value as Uint8Array<ArrayBuffer>);
        expect(written.ok).toBe(true);
        const reply = await it.ask('GET', path);
        expect(new Uint8Array(await reply.arrayBuffer())).toEqual(value);
        const head = await it.ask('HEAD', path);
        expect(head.headers.get('content-length')).toBe(String(value.length));
      }
      expect((await it.service.get(name))!.value).toEqual(value);
      const listed = (await (
        await it.ask('GET', `/kv?prefix=${encodeURIComponent(name)}`)
      ).json()) as { items: { key: string; value?: string; base64?: string }[] };
      const found = listed.items.find((item) => item.key === name)!;
      const back =
        found.value === undefined ? Buffer.from(found.base64!, 'base64') : Buffer.from(found.value);
      expect(new Uint8Array(back)).toEqual(value);
    }),
    { numRuns: 60 },
  );
});

test('an idempotency key answers what it has answered, and refuses what it has not', async () => {
  await using it = await store();
  const once = { 'idempotency-key': 'one' };
  const first = await it.ask('PUT', '/kv/a', once, '1');
  await it.ask('PUT', '/kv/a', {}, '2');
  const again = await it.ask('PUT', '/kv/a', once, '1');
  expect([again.status, again.headers.get('etag')]).toEqual([201, first.headers.get('etag')]);
  for (const refused of [
    await it.ask('PUT', '/kv/a', once, '3'),
    await it.ask('PUT', '/kv/b', once, '1'),
    await it.ask('PUT', '/kv/a', { ...once, 'if-match': '*' }, '1'),
    await it.ask('DELETE', '/kv/a', once),
  ])
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      { code: 'REQUEST_MISMATCH' },
    ]);
  expect(await (await it.ask('GET', '/kv/a')).text()).toBe('2');
});

describe('what a request gets', () => {
  test.each([
    ['PUT', '/kv/', {}, 400],
    ['PUT', '/kv/%', {}, 400],
    ['PUT', '/kv/%ff', {}, 400],
    ['PUT', `/kv/${'k'.repeat(3_000)}`, {}, 400],
    ['PUT', '/kv/a', { 'idempotency-key': '' }, 400],
    ['PUT', '/kv/a', { 'idempotency-key': 'x'.repeat(257) }, 400],
    ['PUT', '/kv/a', { 'content-encoding': 'gzip' }, 415],
    ['PUT', '/kv/long', {}, 413],
    ['PUT', '/kv/longer', {}, 413],
    ['GET', '/watch?from=x', {}, 400],
    ['GET', '/watch?from=-1', {}, 400],
    ['GET', '/watch', { 'last-event-id': '7' }, 400],
    ['GET', '/watch', { 'last-event-id': 'log:1e3' }, 400],
    ['GET', '/watch', { 'last-event-id': ':7' }, 412],
    ['GET', '/watch?from=7&log=another', {}, 412],
    ['GET', '/kv/a?stale=yes', {}, 400],
    ['GET', '//', {}, 404],
    ['GET', '/nowhere', {}, 404],
  ])('%s %s %j: %d, and nothing is written', async (method, path, headers, status) => {
    await using it = await store();
    const lengths: Record<string, number> = {
      '/kv/long': 512 * 1024 + 1,
      '/kv/longer': 8 * 1024 * 1024,
    };
    const body = method === 'PUT' ? 'x'.repeat(lengths[path] ?? 1) : undefined;
    const reply = await it.ask(method, path, headers as Headers, body);
    expect(reply.status).toBe(status);
    expect(await reply.text()).not.toBe('');
    expect((await it.service.list('')).items).toEqual([]);
  });

  test.each([
    ['/kv?stale=yes', {}, 'query.stale'],
    ['/kv/a?stale', {}, 'query.stale'],
    ['/watch?from=x', {}, 'query.from'],
    ['/watch', { 'last-event-id': '7' }, 'headers.last-event-id'],
    ['/kv/a', { 'if-none-match': '-1' }, 'headers.if-none-match'],
    ['/kv/', {}, 'key'],
  ])('GET %s %j: what is wrong is named', async (path, headers, named) => {
    await using it = await store();
    const reply = await it.ask('GET', path, headers as Headers);
    const { code, message } = (await reply.json()) as { code: string; message: string };
    expect([reply.status, code]).toEqual([400, 'INVALID_ARGUMENT']);
    expect(message).toContain(`${named}: `);
  });

  test.each([
    ['POST', '/kv/a', 'GET, HEAD, PUT, DELETE'],
    ['PATCH', '/kv/a', 'GET, HEAD, PUT, DELETE'],
    ['DELETE', '/kv', 'GET'],
    ['HEAD', '/kv', 'GET'],
    ['HEAD', '/watch', 'GET'],
    ['PUT', '/watch', 'GET'],
    ['POST', '/readyz', 'GET, HEAD'],
  ])('%s %s: 405, and what is allowed', async (method, path, allow) => {
    await using it = await store();
    const reply = await it.ask(method, path);
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, allow]);
  });
});

describe('server-sent events', () => {
  /** Reads until `enough` of the text. */
  async function read(reply: Response, enough: (text: string) => boolean): Promise<string> {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of reply.body!) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (enough(text)) return text;
    }
    return text;
  }

  test('go on behind the last one that was seen', async () => {
    await using it = await store();
    await it.service.put('a', Buffer.from('1'));
    await it.service.put('a', Buffer.from('2'));
    const all = await it.ask('GET', '/watch?from=1');
    const [, id] = /^id: (.+)\ndata/m.exec(await read(all, (text) => text.includes('data')))!;
    const reply = await it.ask('GET', '/watch?prefix=a', { 'last-event-id': id! });
    const text = await read(reply, (it) => it.includes('data'));
    expect(text).toContain('"value":"2"');
    expect(text).not.toContain('"value":"1"');
  });

  test('one that has seen nothing yet knows where it goes on', async () => {
    await using it = await store();
    const { revision } = await it.service.put('a', Buffer.from('1'));
    const reply = await it.ask('GET', '/watch');
    const [, id] = /^id: (.+)\n\n$/.exec(await read(reply, () => true))!;
    const { log } = (await (await it.ask('GET', '/kv')).json()) as { log: string };
    expect(id).toBe(`${log}:${revision}`);
    await it.service.put('a', Buffer.from('2'));
    const again = await it.ask('GET', '/watch', { 'last-event-id': id! });
    expect(await read(again, (text) => text.includes('data'))).toContain('"value":"2"');
  });

  test('do not go on in a store that was made anew and has outgrown them', async () => {
    await using old = await store();
    await old.service.put('a', Buffer.from('1'));
    const [, id] = /^id: (.+)\n/.exec(await read(await old.ask('GET', '/watch'), () => true))!;
    await using it = await store();
    for (let i = 0; i < 5; i++) await it.service.put('a', Buffer.from('2'));
    const reply = await it.ask('GET', '/watch', { 'last-event-id': id! });
    const { code, message } = (await reply.json()) as { code: string; message: string };
    expect([reply.status, code]).toEqual([412, 'LOG_MISMATCH']);
    expect(message).toContain('list the keys anew');
  });

  test('carry a backlog of any size to a reader of any speed', async () => {
    await using it = await store();
    const value = Buffer.alloc(256 * 1024, 'x');
    for (let i = 0; i < 40; i++) await it.service.put(`k-${i}`, value);
    const reply = await it.ask('GET', '/watch?from=1');
    // It begins to read only now.
    await it.service.put('last', Buffer.from('1'));
    const text = await read(reply, (it) => it.includes('"key":"last"'));
    expect(text.match(/"key":"k-/g)).toHaveLength(40);
  });

  test('are made as their reader takes them, and no longer when it has left', async () => {
    await using it = await store();
    const value = Buffer.alloc(256 * 1024, 'x');
    for (let i = 0; i < 128; i++) await it.service.put('a', value);
    let taken = 0;
    const watch = it.service.watch.bind(it.service);
    it.service.watch = async function* (...call) {
      for await (const piece of watch(...call)) {
        taken += piece.changes.length;
        yield piece;
      }
    };
    const reader = new AbortController();
    const reply = await fetch(`${it.http}/watch?from=1`, { signal: reader.signal });
    let before = -1;
    while (before !== taken) {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(taken).toBeLessThan(128);
    expect(it.service.watchers).toBe(1);
    await reply.body!.getReader().read();
    reader.abort();
    while (it.service.watchers > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(taken).toBeLessThan(128);
  });

  test('one that leaves at once leaves nothing behind', async () => {
    await using it = await store();
    for (let i = 0; i < 20; i++) {
      const reader = new AbortController();
      const reply = fetch(`${it.http}/watch`, { signal: reader.signal }).catch(() => {});
      if (i % 2 === 0) await reply;
      else await new Promise((resolve) => setTimeout(resolve, i / 5));
      reader.abort();
    }
    await it.ask('GET', '/kv');
    while (it.service.watchers > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  test('say why they end', async () => {
    await using it = await store();
    const reply = await it.ask('GET', '/watch');
    it.service.endWatches();
    expect(await reply.text()).toMatch(/event: failed\ndata: {"code":"CLOSED",/);
  });

  test('end when the replica fails, and no other begins', async () => {
    const damaged = breakable(new MemoryLog());
    await using it = await store(damaged.log);
    await it.service.put('a', Buffer.from('1'));
    const reply = await it.ask('GET', '/watch');
    damaged.fail();
    expect(await reply.text()).toMatch(/event: failed\ndata: {"code":"CORRUPT",/);
    for (const path of ['/kv/a', '/kv', '/watch', '/watch?from=1'])
      expect((await it.ask('GET', path)).status).toBe(503);
  });
});
