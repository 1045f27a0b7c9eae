import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type OrderedLog, VarlogError } from 'varlog/log';
import { MemoryLog } from 'varlog/testing';
import { LedgerClient } from './client.ts';
import { type LedgerReplica, startLedgerReplica } from './replica.ts';

/** Sends bytes as they are; resolves with all that comes back until the connection ends. */
function say(address: string, ...parts: (string | Uint8Array)[]): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    let heard = '';
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard));
    for (const part of parts) socket.write(part);
  });
}

const statusOf = (heard: string): number =>
  Number(/^HTTP\/1\.1 ([2-5]\d\d)/m.exec(heard)?.[1] ?? 0);

describe('the HTTP server of the ledger', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-ledger-http-'));
  const open: LedgerReplica[] = [];
  let count = 0;
  const start = async (
    log: OrderedLog = new MemoryLog(),
    callTimeoutMs = 10_000,
  ): Promise<LedgerReplica> => {
    const location = { directory: join(folder, String(++count)) };
    const http = '127.0.0.1:0';
    const replica = await startLedgerReplica({ http, location, log, callTimeoutMs });
    open.push(replica);
    return replica;
  };
  afterEach(async () => {
    for (const it of open.splice(0)) await it.close();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('no request ends it or leaves a trace in the log', async () => {
    const log = new MemoryLog();
    const { http } = await start(log);
    await new LedgerClient(http).open('bank', null);
    const before = await log.tail();
    const target = fc.oneof(
      fc.constantFrom('//', '///', '/%', '/accounts/%', '/accounts/%ff', '*', '/accounts//..%2f'),
      fc.constantFrom(
        'http://[::1',
        '/sql?query=%',
        '/transfers?account=%00',
        '/__proto__',
        '/a?b?c',
      ),
      fc.webPath(),
    );
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH');
    const body = fc.oneof(
      fc.constantFrom('', 'null', '[]', '7', '{"id":', '{"__proto__":{"id":"x"}}', '{"id":{}}'),
      fc.json(),
      fc.uint8Array({ maxLength: 40 }),
    );
    const headers = fc.constantFrom(
      '',
      'Idempotency-Key: \xff\r\n',
      'Expect: 100-continue\r\n',
      `X: ${'x'.repeat(20_000)}\r\n`,
      'Host\r\n',
    );
    await fc.assert(
      fc.asyncProperty(method, target, headers, body, async (verb, path, more, content) => {
        const bytes = Buffer.from(content);
        const head = `${verb} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${bytes.length}\r\n${more}\r\n`;
        const status = statusOf(await say(http, head, bytes));
        expect(status).toBeGreaterThanOrEqual(200);
        expect(status).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
    expect(await log.tail()).toBe(before);
    expect(await new LedgerClient(http).accounts()).toHaveLength(1);
  }, 60_000);

  test('bytes that are no text are refused, not stored as something else', async () => {
    const { http } = await start();
    const bad = Buffer.concat([
      Buffer.from('{"account":"a'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}'),
    ]);
    const response = await fetch(`http://${http}/accounts`, { method: 'POST', body: bad });
    expect(response.status).toBe(400);
    expect(await new LedgerClient(http).accounts()).toEqual([]);
  });

  test('an account is found whatever its name is', async () => {
    const client = new LedgerClient((await start()).http);
    for (const name of ['.', '..', '../x', 'a b', '%2e', '?at=9', '#', 'zoë']) {
      await client.open(name);
      expect(await client.account(name)).toMatchObject({ id: name });
    }
  });

  test('an idempotency key stands for one transfer', async () => {
    const { http } = await start();
    const client = new LedgerClient(http);
    for (const it of ['bank', 'alice']) await client.open(it, null);
    const send = async (key: string | undefined, body: object): Promise<number> => {
      const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
      const init = { method: 'POST', headers, body: JSON.stringify(body) };
      return (await fetch(`http://${http}/transfers`, init)).status;
    };
    const pay = { from: 'bank', to: 'alice', amount: 5 };
    for (let i = 0; i < 3; i++) expect(await send('k', pay)).toBe(200);
    expect(await send(undefined, { ...pay, id: 'k' })).toBe(200);
    expect(await send('k', { ...pay, amount: 6 })).toBe(422);
    expect(await send('k', { ...pay, description: 'another' })).toBe(422);
    expect(await send('k', { ...pay, id: 'other' })).toBe(400);
    expect(await send(undefined, pay)).toBe(400);
    expect(await client.account('alice')).toMatchObject({ balance: 5n });
  });

  test.each([
    ['/accounts', { account: 7 }, 'account'],
    ['/accounts', { account: 'a', overdraftLimit: '5.0' }, 'overdraftLimit'],
    ['/transfers', { id: 'x', from: 'a', to: 'b', amount: '5.0' }, 'amount'],
    ['/transfers', { id: 'x', postings: [{ account: 'a', amount: 1 }, 2] }, 'postings.1'],
    ['/transfers', { id: 'x', from: 'a', to: 'b' }, 'amount'],
    ['/transfers', [], 'object'],
  ])('POST %s %j is refused, and what is wrong is named', async (path, body, named) => {
    const { http } = await start();
    const init = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`http://${http}${path}`, init);
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(named),
      }),
    ]);
  });

  test('a method that a resource does not have is refused by name', async () => {
    const { http } = await start();
    const refused = await fetch(`http://${http}/transfers`, { method: 'DELETE' });
    expect(refused.status).toBe(405);
    expect(refused.headers.get('allow')).toBe('GET, POST');
  });

  test('a request that is under way when it ends is answered', async () => {
    const log = new MemoryLog();
    const { http, close, service } = await start(log);
    await service.accounts();
    const append = log.append.bind(log);
    let release = (): void => {};
    const begun = new Promise<void>((resolve) => {
      log.append = async (commands, options) => {
        resolve();
        await new Promise<void>((go) => {
          release = go;
        });
        return append(commands, options);
      };
    });
    const body = JSON.stringify({ account: 'bank', overdraftLimit: null });
    const reply = fetch(`http://${http}/accounts`, { method: 'POST', body });
    await begun;
    const closed = close();
    log.append = append;
    release();
    expect((await reply).status).toBe(200);
    await closed;
  }, 30_000);

  test('a rebuilding that is under way when it ends is given up, and leaves nothing behind', async () => {
    const log = new MemoryLog();
    const { http, close } = await start(log);
    const client = new LedgerClient(http);
    await client.open('bank', null);
    const files = (): string[] => readdirSync(join(folder, String(count)));
    // The new one never gets level with a log that does not say where it ends.
    const isAsked = new Promise<void>((resolve) => {
      log.tail = () => {
        resolve();
        return new Promise(() => {});
      };
    });
    const rebuilt = client.rebuild().catch((error: unknown) => error);
    await isAsked;
    expect(files()).toContain('ledger-1.db');
    await close();
    expect(await rebuilt).toMatchObject({ message: expect.stringContaining('was closed') });
    expect(files()).not.toContain('ledger-1.db');
  }, 30_000);

  test('nor does one hold it up that waits for the log to answer at all', async () => {
    const log = new MemoryLog();
    const { http, close } = await start(log);
    log.disconnect();
    const client = new LedgerClient(http);
    const both = [1, 2].map(() => client.rebuild().catch((error: unknown) => error));
    // One is refused while the other is under way.
    expect(await Promise.race(both)).toMatchObject({ message: expect.stringContaining('already') });
    await close();
    expect(await Promise.all(both)).toContainEqual(
      expect.objectContaining({ message: expect.stringContaining('was closed') }),
    );
    log.connect();
  }, 30_000);

  test('it is ready while log, database and replica answer, and no call waits for ever', async () => {
    const log = new MemoryLog();
    let answers = true;
    const tail = log.tail.bind(log);
    log.tail = (options) => (answers ? tail(options) : new Promise(() => {}));
    const { http, service } = await start(log, 1_000);
    const ready = async (): Promise<number> => (await fetch(`http://${http}/readyz`)).status;
    expect(await ready()).toBe(200);
    const metrics = await (await fetch(`http://${http}/metrics`)).text();
    expect(metrics).toContain('ledger_replica_running 1');
    answers = false;
    expect(await ready()).toBe(503);
    expect(await service.accounts({ stale: true })).toEqual([]);
    await expect(service.accounts()).rejects.toMatchObject({ code: 'TIMEOUT' });
  }, 30_000);

  test('of what was too late, a change may have taken effect, and a question has changed nothing', async () => {
    const log = new MemoryLog();
    const { http } = await start(log, 2_000);
    const client = new LedgerClient(http);
    for (const it of ['bank', 'alice']) await client.open(it, null);
    log.disconnect();
    const asked = client.accounts();
    await expect(asked).rejects.toMatchObject({ code: 'TIMEOUT', outcome: undefined });
    const legs = [
      { account: 'bank', amount: -5n },
      { account: 'alice', amount: 5n },
    ];
    const pay = { id: 'pay', legs };
    // It was never sent.
    await expect(client.transfer(pay)).rejects.toMatchObject({ outcome: 'notAppended' });
    const append = log.append.bind(log);
    log.append = async () => {
      throw new VarlogError('UNREACHABLE', { what: 'no answer came', outcome: 'unknown' });
    };
    log.connect();
    await expect(client.transfer(pay)).rejects.toMatchObject({
      code: 'TIMEOUT',
      outcome: 'unknown',
      details: { id: 'pay' },
    });
    log.append = append;
    expect(await client.transfer(pay)).toMatchObject({ done: true });
    expect(await client.account('alice')).toMatchObject({ balance: 5n });
  }, 30_000);
});
