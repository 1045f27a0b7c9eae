import { request } from 'node:http';
import { connect } from 'node:net';
import { httpServer, listen, serveHttp, stopListening, textReply } from './http.ts';

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

/** Sends a head, and gives back all that comes until the connection ends. */
function say(address: string, head: string): Promise<string> {
  const [host, port] = address.split(':') as [string, string];
  return new Promise((resolve, reject) => {
    let heard = '';
    connect(Number(port), host)
      .on('data', (chunk) => {
        heard += String(chunk);
      })
      .on('error', reject)
      .on('close', () => resolve(heard))
      .write(`${head}Connection: close\r\n\r\n`);
  });
}

/** A figure when it has not changed for a while. */
async function steady(figure: () => number): Promise<number> {
  for (let last = figure(), same = 0; ; last = figure()) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = figure() === last ? same + 1 : 0;
    if (same === 10) return last;
  }
}

describe('the HTTP server', () => {
  test('answers by path, and says what it does not have and what went wrong', async () => {
    const server = await serveHttp('127.0.0.1:0', (app) => {
      app.get('/livez', () => textReply(200, 'alive'));
      app.get('/broken', () => {
        throw new Error('no figures');
      });
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
    const first = await serveHttp('127.0.0.1:0', () => {});
    await expect(serveHttp(first.address, () => {})).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
    });
    await first.close();
    for (const bad of ['nonsense', '127.0.0.1:port', '127.0.0.1:99999']) {
      await expect(serveHttp(bad, () => {})).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  test('listens on IPv6 as well', async () => {
    const server = await serveHttp('[::1]:0', () => {});
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
    ['/a\\b', '/a\\b'],
    ['/%ff%', '/%ff%'],
  ])('the path of %s is %s', async (target, path) => {
    const server = await serveHttp('127.0.0.1:0', (app) => {
      app.get('*', ({ req }) => textReply(200, req.path));
    });
    expect(await ask(server.address, target)).toEqual([200, path]);
    await server.close();
  });

  test.each(['*', 'http:///', 'http://'])('%s is no path', async (target) => {
    const server = await serveHttp('127.0.0.1:0', () => {});
    const [status, body] = await ask(server.address, target, 'GET');
    expect([status, body]).toEqual([400, expect.stringContaining('INVALID_ARGUMENT')]);
    await server.close();
  });

  test('an answer that fails in the middle is broken off, and no other', async () => {
    const server = httpServer(
      (app) => {
        app.get('/whole', () => textReply(200, 'whole'));
        app.get('/broken', () => {
          const pieces = async function* () {
            yield Buffer.from('begun');
            throw new Error('lost');
          };
          return new Response(ReadableStream.from(pieces()));
        });
      },
      () => textReply(500, 'failed'),
    );
    const address = await listen(server, '127.0.0.1:0');
    const logged = jest.spyOn(console, 'error').mockImplementation(() => {});
    await expect(ask(address, '/broken')).rejects.toThrow();
    expect(await ask(address, '/whole')).toEqual([200, 'whole']);
    await expect(ask(address, '/broken')).rejects.toThrow();
    logged.mockRestore();
    await stopListening(server);
  });

  test('what a request says of its host, and how its query is written, keeps it from nothing', async () => {
    const server = await serveHttp('127.0.0.1:0', (app) => {
      app.get('*', ({ req }) => textReply(200, JSON.stringify(req.query())));
    });
    for (const host of ['x:99999', 'a b', '[', '', '%', 'user@x', 'ü'])
      expect(await say(server.address, `GET /?a=1 HTTP/1.1\r\nHost: ${host}\r\n`)).toMatch(
        /^HTTP\/1.1 200 OK.*{"a":"1"}$/s,
      );
    expect(await ask(server.address, '/?a=%ff&b=+%2B&c&%&a=2')).toEqual([
      200,
      '{"a":"\ufffd","b":" +","c":"","%":""}',
    ]);
    await server.close();
  });

  test('the length of an answer is told, also without it', async () => {
    const server = await serveHttp('127.0.0.1:0', (app) => {
      app.get('/', () => textReply(200, 'ä'));
    });
    for (const method of ['GET', 'HEAD'])
      expect(await say(server.address, `${method} / HTTP/1.1\r\nHost: x\r\n`)).toMatch(
        /^content-length: 2\r$/m,
      );
    await server.close();
  });

  test('an answer in pieces is made as it is read, and no longer when its reader has left', async () => {
    const piece = new Uint8Array(1024 * 1024);
    let made = 0;
    let left = false;
    const server = httpServer(
      (app) =>
        app.get('/', ({ req }) => {
          req.raw.signal.addEventListener('abort', () => {
            left = true;
          });
          const pieces = async function* () {
            for (; ; made++) yield piece;
          };
          return new Response(ReadableStream.from(pieces()));
        }),
      () => textReply(500, 'failed'),
    );
    const address = await listen(server, '127.0.0.1:0');
    const reader = new AbortController();
    const reply = await fetch(`http://${address}/`, { signal: reader.signal });
    const before = await steady(() => made);
    // What the sockets on the way have room for, and not without end.
    expect(before).toBeLessThan(200);
    const body = reply.body!.getReader();
    for (let bytes = 0; bytes < (before + 5) * piece.length; )
      bytes += (await body.read()).value!.length;
    expect(made).toBeGreaterThan(before);
    reader.abort();
    await steady(() => made);
    expect(left).toBe(true);
    await stopListening(server);
  });
});
