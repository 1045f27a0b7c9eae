import { request } from 'node:http';
import { serveHttp } from './http.ts';

/** Asks and gives back status and body. */
function ask(address: string, path: string, method = 'GET'): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    request(`http://${address}${path}`, { method, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += String(chunk);
      });
      response.on('end', () => resolve([response.statusCode!, body]));
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
    expect(await ask(server.address, '/livez', 'POST')).toEqual([404, 'nothing at /livez\n']);
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
});
