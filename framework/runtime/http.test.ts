import { request } from 'node:http';
import { httpServer, listen, serveHttp, stopListening } from './http.ts';

/** Asks and gives back status and body. */
function ask(address: string, path: string, method = 'GET'): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(/:(?=\d+$)/) as [string, string];
    const options = { host: host.replace(/[[\]]/g, ''), port, path, method, agent: false };
    request(options, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += String(chunk);
      });
      response.on('end', () => resolve([response.statusCode!, body]));
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

describe('the HTTP server', () => {
  test('answers by path, and says what it does not have and what went wrong', async () => {
    const server = await serveHttp('127.0.0.1:0', async (path) => {
      if (path === '/broken') throw new Error('no figures');
      return path === '/livez'
        ? { status: 200, contentType: 'text/plain', body: 'alive' }
        : undefined;
    });
    expect(await ask(server.address, '/livez?verbose=1')).toEqual([200, 'alive']);
    expect(await ask(server.address, '/nothing')).toEqual([404, 'nothing at /nothing\n']);
    expect(await ask(server.address, '/livez', 'HEAD')).toEqual([200, '']);
    expect(await ask(server.address, '/livez', 'POST')).toEqual([
      405,
      'POST is not answered here\n',
    ]);
    expect(await ask(server.address, '/broken')).toEqual([500, 'no figures\n']);
    await server.close();
    await expect(ask(server.address, '/livez')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.close();
  });

  test('refuses an address that is taken or is none', async () => {
    const first = await serveHttp('127.0.0.1:0', async () => undefined);
    await expect(serveHttp(first.address, async () => undefined)).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
    });
    await first.close();
    for (const bad of ['nonsense', '127.0.0.1:port', '127.0.0.1:99999']) {
      await expect(serveHttp(bad, async () => undefined)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  test('listens on IPv6 as well', async () => {
    const server = await serveHttp('[::1]:0', async () => undefined);
    expect(server.address).toMatch(/^\[::1\]:\d+$/);
    expect((await ask(server.address, '/'))[0]).toBe(404);
    await server.close();
  });

  test.each([
    ['//', '//'],
    ['/a/../b', '/a/../b'],
    ['/%2e%2e', '/%2e%2e'],
    ['http://x:1/y?z', '/y'],
    ['http://x', '/'],
    ['/?a?b#c', '/'],
  ])('the path of %s is %s', async (target, path) => {
    const server = await serveHttp('127.0.0.1:0', async (asked) => ({
      status: 200,
      contentType: 'text/plain',
      body: asked,
    }));
    expect(await ask(server.address, target)).toEqual([200, path]);
    await server.close();
  });

  test.each(['*', 'http:///', 'http://'])('%s is no path', async (target) => {
    const server = await serveHttp('127.0.0.1:0', async () => undefined);
    const [status, body] = await ask(server.address, target, 'GET');
    expect([status, body]).toEqual([400, expect.stringContaining('INVALID_ARGUMENT')]);
    await server.close();
  });

  test('a handler that fails in the middle of its answer breaks that answer, and no other', async () => {
    const server = httpServer(
      async (_, response, { pathname }) => {
        response.write('begun');
        if (pathname === '/end') response.end();
        // Behind the end, as by a handler that has lost count.
        if (pathname === '/end') response.write('more');
        throw new Error('lost');
      },
      (response, error) => {
        if (response.writableEnded) return;
        response.writeHead(500).end(String(error));
      },
    );
    const address = await listen(server, '127.0.0.1:0');
    await expect(ask(address, '/break')).rejects.toThrow();
    expect(await ask(address, '/end')).toEqual([200, 'begun']);
    await expect(ask(address, '/break')).rejects.toThrow();
    await stopListening(server);
  });
});
