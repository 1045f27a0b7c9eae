import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { VarlogError } from 'varlog/log';
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
  return createServer((request, response) => {
    route(service, request, response).catch((error: unknown) => fail(response, error));
  });
}

async function route(
  service: KvService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const stale = url.searchParams.get('stale') === '1';
  if (url.pathname === '/readyz') return send(response, 200, 'ready\n');
  if (request.method === 'GET' && url.pathname === '/kv') {
    const found = await service.list(url.searchParams.get('prefix') ?? '', { stale });
    return send(response, 200, `${JSON.stringify(found)}\n`, {
      'content-type': 'application/json',
    });
  }
  if (request.method === 'GET' && url.pathname === '/watch')
    return watch(service, request, response, url);
  if (!url.pathname.startsWith('/kv/')) return send(response, 404, 'no such page\n');

  const key = decodeURIComponent(url.pathname.slice('/kv/'.length));
  if (request.method === 'GET') {
    const found = await service.get(key, { stale });
    if (found === undefined) return send(response, 404, `no key ${key}\n`);
    return send(response, 200, found.value, { etag: `"${found.revision}"` });
  }
  const id = request.headers['idempotency-key'];
  const options = typeof id === 'string' ? { requestId: id } : {};
  if (request.method === 'DELETE') {
    const { done, revision } = await service.delete(key, options);
    return send(response, done ? 200 : 404, done ? `${revision}\n` : `no key ${key}\n`);
  }
  if (request.method !== 'PUT') return send(response, 405, 'GET, PUT or DELETE\n');
  const value = await bodyOf(request);
  const expected = expectedRevision(request);
  const { done, revision } =
    expected === undefined
      ? await service.put(key, value, options)
      : await service.compareAndSet(key, expected, value, options);
  return send(response, done ? 200 : 412, `${revision}\n`, { etag: `"${revision}"` });
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
    error: (error) => fail(response, error),
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
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${text} is not a revision`,
    next: 'give a whole number, as in an ETag',
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) {
      throw new VarlogError('ENTRY_TOO_LARGE', {
        what: `the value is larger than ${BODY_BYTES_MAX} bytes`,
        next: 'split it',
        outcome: 'notAppended',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(body);
}

const STATUS: Record<string, number> = {
  INVALID_ARGUMENT: 400,
  POSITION_OUT_OF_RANGE: 400,
  ENTRY_TOO_LARGE: 413,
  TRIMMED: 410,
  RESOURCE_EXHAUSTED: 429,
  TIMEOUT: 504,
};

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const code = VarlogError.is(error) ? error.code : 'INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const outcome = VarlogError.is(error) ? error.outcome : undefined;
  send(response, STATUS[code] ?? 503, `${JSON.stringify({ code, message, outcome })}\n`, {
    'content-type': 'application/json',
  });
}
