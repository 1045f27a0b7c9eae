import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpTarget } from 'varlog/node';
import {
  bytesOf,
  decoded,
  invalid,
  sendJson,
  sendNotAllowed,
  sendText,
  serveRoutes,
} from '../http.ts';
import type { Pages } from '../operator-pages.ts';
import { type Condition, holds, type Revisions } from './condition.ts';
import { watchOverHttp } from './event-stream.ts';
import { type KvService, VALUE_BYTES_MAX, type WriteOptions } from './service.ts';
import { shown } from './shown.ts';

/**
 * The store over HTTP. Values are bytes, keys are percent-encoded, the `ETag` of a key is its revision and the log in which
 * that counts:
 *
 * - `GET /kv/KEY` (`?stale=1`): the value; 404 where there is none, 304 and 412 by `If-None-Match` and `If-Match`
 * - `PUT /kv/KEY`: writes the body; 201 for a new key, 200 otherwise
 * - `DELETE /kv/KEY`: 200, or 404
 * - both with `If-Match` and `If-None-Match` (ETags, several of them, or `*`) only on that condition, else 412;
 *   with `Idempotency-Key` once, however often it is sent while the key is kept; 422 when it comes with another request
 * - `GET /kv?prefix=P`: `{ items, revision, log }`
 * - `GET /watch?prefix=P&from=REVISION&log=LOG`: server-sent events, resumable by `Last-Event-ID`; 412 where the revision is
 *   that of another log than the store's
 *
 * - `GET /livez`, `/readyz` and `/metrics`, which `other` answers
 */
export function makeHttpFace(service: KvService, other: Pages = async () => false): Server {
  return serveRoutes(async (request, response, target) => {
    const { pathname: path, searchParams: query } = target;
    if (path.startsWith('/kv/')) return onKey(service, request, response, target);
    if (path !== '/kv' && path !== '/watch') {
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return sendNotAllowed(response, 'GET, HEAD');
      if (!(await other(path, response))) sendText(response, 404, 'no such page\n');
      return;
    }
    if (request.method !== 'GET') return sendNotAllowed(response, 'GET');
    if (path === '/watch') return watchOverHttp(service, request, response, query);
    const { items, ...at } = await service.list(query.get('prefix') ?? '', reading(query));
    sendJson(response, 200, {
      items: items.map(({ value, ...item }) => ({ ...item, ...shown(value) })),
      ...at,
    });
  });
}

async function onKey(
  service: KvService,
  request: IncomingMessage,
  response: ServerResponse,
  { pathname, searchParams }: HttpTarget,
): Promise<void> {
  const key = decoded(pathname.slice('/kv/'.length));
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return read(service, request, response, key, reading(searchParams));
    case 'PUT': {
      if (request.headers['content-encoding'] !== undefined)
        return sendText(response, 415, 'send the value itself: without Content-Encoding\n', {
          'accept-encoding': 'identity',
        });
      // Whatever is wrong with the headers is said before the body is read.
      const options = await writing(service, request);
      const value = await bytesOf(request, VALUE_BYTES_MAX);
      const { done, revision, existed } = await service.put(key, value, options);
      const etag = revision === 0 ? {} : await etagOf(service, revision);
      return sendText(response, done ? (existed ? 200 : 201) : 412, `${revision}\n`, etag);
    }
    case 'DELETE': {
      const options = await writing(service, request);
      const { done, revision, existed } = await service.delete(key, options);
      if (done) return sendText(response, 200, `${revision}\n`);
      if (!existed && options.condition?.ifMatch === undefined)
        return sendText(response, 404, 'no such key\n');
      const etag = existed ? await etagOf(service, revision) : {};
      return sendText(response, 412, `${revision}\n`, etag);
    }
    default:
      return sendNotAllowed(response, 'GET, HEAD, PUT, DELETE');
  }
}

async function read(
  service: KvService,
  { headers }: IncomingMessage,
  response: ServerResponse,
  key: string,
  options: { stale: boolean },
): Promise<void> {
  const found = await service.get(key, options);
  const revision = found?.revision ?? 0;
  const { ifMatch, ifNoneMatch } = (await conditionOf(service, headers)) ?? {};
  if (ifMatch !== undefined && !holds({ ifMatch }, revision))
    return sendText(response, 412, `${revision}\n`);
  if (found === undefined) return sendText(response, 404, 'no such key\n');
  const etag = await etagOf(service, revision);
  if (ifNoneMatch !== undefined && !holds({ ifNoneMatch }, revision)) {
    response.writeHead(304, etag).end();
    return;
  }
  sendText(response, 200, found.value, {
    ...etag,
    'content-type': 'application/octet-stream',
    'x-content-type-options': 'nosniff',
  });
}

function reading(query: URLSearchParams): { stale: boolean } {
  const stale = query.get('stale') ?? '0';
  if (stale === '0' || stale === '1') return { stale: stale === '1' };
  throw invalid(`stale=${stale.slice(0, 20)} says nothing`, 'give stale=1, or leave it out');
}

async function etagOf(service: KvService, revision: number): Promise<Record<string, string>> {
  return { etag: `"${revision}-${await service.tag()}"` };
}

async function writing(service: KvService, { headers }: IncomingMessage): Promise<WriteOptions> {
  const condition = await conditionOf(service, headers);
  const requestId = headers['idempotency-key'];
  return {
    ...(condition && { condition }),
    ...(typeof requestId === 'string' && { requestId }),
  };
}

async function conditionOf(
  service: KvService,
  headers: IncomingMessage['headers'],
): Promise<Condition | undefined> {
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  const log = await service.tag();
  return {
    ...(ifMatch !== undefined && { ifMatch: revisionsOf(ifMatch, 'strong', log) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: revisionsOf(ifNoneMatch, 'weak', log) }),
  };
}

const TAGS = /^(W\/)?"[^"]*"(\s*,\s*(W\/)?"[^"]*")*$/;

/**
 * The revisions among the entity tags of a header. Tags that are none of ours are well formed, and match nothing: such as
 * those of another log, and a weak one where the comparison is strong. A revision alone is one that somebody typed.
 */
function revisionsOf(header: string, comparison: 'strong' | 'weak', log: string): Revisions {
  const text = header.trim();
  if (text === '*') return 'any';
  // Quotes are forgotten easily by those who type them into a shell.
  if (/^[1-9]\d{0,15}$/.test(text)) return [Number(text)];
  if (!TAGS.test(text)) {
    throw invalid(
      'a condition is no list of entity tags',
      'give an ETag as an answer has it, or "REVISION", several of them with commas between, or *',
    );
  }
  return [...text.matchAll(/(W\/)?"([^"]*)"/g)]
    .filter(([, weak]) => weak === undefined || comparison === 'weak')
    .map(([, , tag]) => /^([1-9]\d{0,15})(?:-(.*))?$/.exec(tag!))
    .filter((it) => it !== null && (it[2] === undefined || it[2] === log))
    .map((it) => Number(it![1]));
}
