import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { bodyOf, decoded, invalid, sendError, sendJson, sendText, serveRoutes } from '../http.ts';
import type { KvService } from './service.ts';

/** A value may have this many bytes. */
const BODY_BYTES_MAX = 512 * 1024;

/**
 * The store over HTTP:
 *
 * - `GET /kv/KEY` (`?stale=1`): the value, its revision as `ETag`; 404
 * - `PUT /kv/KEY`: writes the body; with `If-Match: "REVISION"` or `If-None-Match: *` only on that condition, else 412
 * - `DELETE /kv/KEY`
 * - `GET /kv?prefix=P`: `{ items, revision }`
 * - `GET /watch?prefix=P&from=REVISION`: server-sent events, resumable by `Last-Event-ID`
 * - `GET /readyz`
 */
export function makeHttpFace(service: KvService): Server {
  return serveRoutes((request, response, url) => route(service, request, response, url));
}

async function route(
  service: KvService,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const stale = url.searchParams.get('stale') === '1';
  if (url.pathname === '/readyz') return sendText(response, 200, 'ready\n');
  if (request.method === 'GET' && url.pathname === '/kv') {
    const found = await service.list(url.searchParams.get('prefix') ?? '', { stale });
    return sendJson(response, 200, found);
  }
  if (request.method === 'GET' && url.pathname === '/watch')
    return watch(service, request, response, url);
  if (!url.pathname.startsWith('/kv/')) return sendText(response, 404, 'no such page\n');

  const key = decoded(url.pathname.slice('/kv/'.length));
  if (request.method === 'GET') {
    const found = await service.get(key, { stale });
    if (found === undefined) return sendText(response, 404, `no key ${key}\n`);
    return sendText(response, 200, found.value, { etag: `"${found.revision}"` });
  }
  const id = request.headers['idempotency-key'];
  const options = typeof id === 'string' ? { requestId: id } : {};
  if (request.method === 'DELETE') {
    const { done, revision } = await service.delete(key, options);
    return sendText(response, done ? 200 : 404, done ? `${revision}\n` : `no key ${key}\n`);
  }
  if (request.method !== 'PUT') return sendText(response, 405, 'GET, PUT or DELETE\n');
  const value = await bodyOf(request, BODY_BYTES_MAX);
  const expected = expectedRevision(request);
  const { done, revision } =
    expected === undefined
      ? await service.put(key, value, options)
      : await service.compareAndSet(key, expected, value, options);
  return sendText(response, done ? 200 : 412, `${revision}\n`, { etag: `"${revision}"` });
}

function watch(
  service: KvService,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): void {
  const lastEvent = request.headers['last-event-id'];
  const given = url.searchParams.get('from');
  const from =
    typeof lastEvent === 'string'
      ? number(lastEvent) + 1
      : given === null
        ? undefined
        : number(given);
  let open = false;
  const start = (): void => {
    if (open) return;
    open = true;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
  };
  const subscription = service.watch$(url.searchParams.get('prefix') ?? '', from).subscribe({
    next: (change) => {
      start();
      const fits = response.write(`id: ${change.revision}\ndata: ${JSON.stringify(change)}\n\n`);
      // A reader that does not keep up is let go: it comes back with Last-Event-ID.
      if (!fits && response.writableLength > BODY_BYTES_MAX) response.destroy();
    },
    error: (error) => sendError(response, error),
  });
  if (!subscription.closed) start();
  response.once('close', () => subscription.unsubscribe());
}

function expectedRevision(request: IncomingMessage): number | undefined {
  if (request.headers['if-none-match'] === '*') return 0;
  const match = request.headers['if-match'];
  return match === undefined ? undefined : number(match.replaceAll('"', ''));
}

function number(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${text} is not a revision`, 'give a whole number, as in an ETag');
}
