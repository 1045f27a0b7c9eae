import type { Server } from 'node:http';
import type { Context } from 'hono';
import { type AccessTokens, type HttpEnv, HttpStatus, textReply } from 'varlog/node';
import type { z } from 'zod';
import {
  bytesOf,
  decoded,
  headersOf,
  jsonReply,
  notAllowed,
  queryOf,
  serveRoutes,
} from '../http.ts';
import type { Pages } from '../operator-pages.ts';
import { type Condition, holds, type Revisions } from './condition.ts';
import { watchOverHttp } from './event-stream.ts';
import { Conditions, type EntityTag, Listed, Reading, Writing } from './inputs.ts';
import { type KvService, VALUE_BYTES_MAX, type WriteOptions } from './service.ts';
import { shown, shownKey } from './shown.ts';

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
 * - `GET /livez`, `/readyz` and `/metrics`, which `pages` adds
 *
 * With tokens, all but the last ones ask for one of them: `Authorization: Bearer TOKEN`.
 */
export function makeHttpServer(
  service: KvService,
  pages: Pages = () => {},
  tokens?: AccessTokens,
): Server {
  return serveRoutes((app) => {
    // GET alone is a route: Hono answers HEAD by the route of GET.
    const onGet = (path: string, answer: (c: Context<HttpEnv>) => Promise<Response>): void => {
      app.all(path, (c) => (c.req.method === 'GET' ? answer(c) : notAllowed('GET')));
    };
    onGet('/kv', (c) => list(service, c));
    onGet('/watch', (c) => watchOverHttp(service, c));
    // Behind /kv, which it stands for as well.
    app.get('/kv/*', (c) => read(service, c));
    app.put('/kv/*', (c) => put(service, c));
    app.delete('/kv/*', (c) => remove(service, c));
    app.all('/kv/*', (c) => {
      // What is no key has no methods.
      keyOf(c);
      return notAllowed('GET, HEAD, PUT, DELETE');
    });
    pages(app);
    app.notFound(({ req: { method } }) =>
      method === 'GET' || method === 'HEAD'
        ? textReply(HttpStatus.notFound, 'no such page\n')
        : notAllowed('GET, HEAD'),
    );
  }, tokens);
}

async function list(service: KvService, c: Context<HttpEnv>): Promise<Response> {
  const { prefix, stale } = queryOf(c, Listed);
  const { items, ...at } = await service.list(prefix, { stale });
  return jsonReply(HttpStatus.ok, {
    items: items.map(({ value, revision, ...key }) => ({
      ...shownKey(key),
      revision,
      ...shown(value),
    })),
    ...at,
  });
}

async function read(service: KvService, c: Context<HttpEnv>): Promise<Response> {
  const key = keyOf(c);
  const options = queryOf(c, Reading);
  const conditions = headersOf(c, Conditions, TAGS);
  const found = await service.get(key, options);
  const revision = found?.revision ?? 0;
  const { ifMatch, ifNoneMatch } = (await conditionOf(service, conditions)) ?? {};
  if (ifMatch !== undefined && !holds({ ifMatch }, revision))
    return textReply(HttpStatus.preconditionFailed, `${revision}\n`);
  if (found === undefined) return textReply(HttpStatus.notFound, 'no such key\n');
  const etag = await etagOf(service, revision);
  if (ifNoneMatch !== undefined && !holds({ ifNoneMatch }, revision))
    return new Response(null, { status: HttpStatus.notModified, headers: etag });
  return textReply(HttpStatus.ok, found.value, {
    ...etag,
    'content-type': 'application/octet-stream',
    'x-content-type-options': 'nosniff',
  });
}

async function put(service: KvService, c: Context<HttpEnv>): Promise<Response> {
  const key = keyOf(c);
  if (c.req.header('content-encoding') !== undefined)
    return textReply(
      HttpStatus.unsupportedMediaType,
      'send the value itself: without Content-Encoding\n',
      {
        'accept-encoding': 'identity',
      },
    );
  // Whatever is wrong with the headers is said before the body is read.
  const options = await writing(service, c);
  const value = await bytesOf(c.env.incoming, VALUE_BYTES_MAX);
  const { done, revision, existed } = await service.put(key, value, options);
  const etag = revision === 0 ? {} : await etagOf(service, revision);
  return textReply(
    done ? (existed ? HttpStatus.ok : HttpStatus.created) : HttpStatus.preconditionFailed,
    `${revision}\n`,
    etag,
  );
}

async function remove(service: KvService, c: Context<HttpEnv>): Promise<Response> {
  const key = keyOf(c);
  const options = await writing(service, c);
  const { done, revision, existed } = await service.delete(key, options);
  if (done) return textReply(HttpStatus.ok, `${revision}\n`);
  if (!existed && options.condition?.ifMatch === undefined)
    return textReply(HttpStatus.notFound, 'no such key\n');
  const etag = existed ? await etagOf(service, revision) : {};
  return textReply(HttpStatus.preconditionFailed, `${revision}\n`, etag);
}

function keyOf({ req }: Context<HttpEnv>): string {
  return decoded(req.path.slice('/kv/'.length));
}

async function etagOf(service: KvService, revision: number): Promise<Record<string, string>> {
  return { etag: `"${revision}-${await service.tag()}"` };
}

const TAGS =
  'give an ETag as an answer has it, or "REVISION", several of them with commas between, or *';

async function writing(service: KvService, c: Context<HttpEnv>): Promise<WriteOptions> {
  const { 'idempotency-key': requestId, ...conditions } = headersOf(c, Writing, TAGS);
  const condition = await conditionOf(service, conditions);
  return {
    ...(condition && { condition }),
    ...(requestId !== undefined && { requestId }),
  };
}

async function conditionOf(
  service: KvService,
  { 'if-match': ifMatch, 'if-none-match': ifNoneMatch }: z.infer<typeof Conditions>,
): Promise<Condition | undefined> {
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  const log = await service.tag();
  return {
    ...(ifMatch !== undefined && { ifMatch: revisionsOf(ifMatch, 'strong', log) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: revisionsOf(ifNoneMatch, 'weak', log) }),
  };
}

/** The revisions that tags name. Those of another log match nothing, nor do weak ones where the comparison is strong. */
function revisionsOf(
  tags: 'any' | readonly EntityTag[],
  comparison: 'strong' | 'weak',
  own: string,
): Revisions {
  if (tags === 'any') return tags;
  return tags
    .filter(({ weak }) => !weak || comparison === 'weak')
    .filter(({ log }) => log === undefined || log === own)
    .map(({ revision }) => revision);
}
