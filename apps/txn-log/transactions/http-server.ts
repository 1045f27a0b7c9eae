import type { Server } from 'node:http';
import type { Context } from 'hono';
import { type AccessTokens, type HttpEnv, HttpStatus } from 'varlog/node';
import type { TransactionOutcome, TransactionService } from 'varlog/smr';
import { z } from 'zod';
import { decoded, jsonBodyOf, jsonReply, notAllowed, queryOf, serveRoutes } from '../../http.ts';
import type { Pages } from '../../operator-pages.ts';

const BODY_BYTES_MAX = 1024 * 1024;
/** Calls are done within this time. */
const CALL_MS = 10_000;
const KEYS_MAX = 1_000;

const Position = z.number().int().nonnegative();
const Id = z.string().min(1).max(256);
const Key = z.string().min(1).max(1_000);
const Beginning = z.object({ id: Id });
const Reading = z.object({ at: z.coerce.number().pipe(Position) });
const Committing = z.object({
  id: Id,
  attempt: Position.min(1),
  since: Position,
  reads: z.array(z.tuple([Key, Position])).max(KEYS_MAX),
  writes: z.array(z.tuple([Key, z.string().nullable()])).max(KEYS_MAX),
  result: z.string().optional(),
});
const Settling = z.object({ id: Id, since: Position });

/**
 * Transactions over HTTP, in JSON, for clients that gather what they read and write:
 *
 * - `POST /begin` `{ id }`: `{ at, known? }`, the position of a snapshot, and what became of the transaction before
 * - `GET /keys/KEY?at=POSITION`: the key as it was there, `{ value, version, by }`; 404 where it was not
 * - `POST /commit` `{ id, attempt, since, reads, writes, result }`: the outcome; 200 committed, 409 aborted (by which
 *   change of which key) or refused, 410 forgotten
 * - `POST /outcome` `{ id, since }`: the same of a transaction of which no answer came; from then on it is decided
 *
 * What there is beside (`/readyz` and the like), `pages` adds. With tokens, all of the above ask for one of them:
 * `Authorization: Bearer TOKEN`.
 */
export function makeTransactionServer(
  service: TransactionService,
  pages: Pages,
  tokens?: AccessTokens,
): Server {
  const limits = { timeoutMs: CALL_MS };
  return serveRoutes((app) => {
    pages(app);
    app.post('/begin', async (c) => {
      const { id } = await bodyOf(c, Beginning);
      return jsonReply(HttpStatus.ok, await service.begin(id, limits));
    });
    app.all('/begin', () => notAllowed('POST'));

    app.get('/keys/*', async (c) => {
      const key = decoded(c.req.path.slice('/keys/'.length));
      const found = await service.read(key, queryOf(c, Reading).at, limits);
      return found === undefined
        ? jsonReply(HttpStatus.notFound, { absent: true, message: `no key ${key}` })
        : jsonReply(HttpStatus.ok, found);
    });
    app.all('/keys/*', () => notAllowed('GET'));

    app.post('/commit', async (c) => {
      const { result, ...attempt } = await bodyOf(c, Committing);
      const given = result === undefined ? attempt : { ...attempt, result };
      return decided(await service.commit(given, limits));
    });
    app.all('/commit', () => notAllowed('POST'));

    app.post('/outcome', async (c) => {
      const { id, since } = await bodyOf(c, Settling);
      return decided(await service.settle(id, since, limits));
    });
    app.all('/outcome', () => notAllowed('POST'));

    app.notFound(({ req }) =>
      jsonReply(HttpStatus.notFound, { message: `nothing at ${req.path}` }),
    );
  }, tokens);
}

function bodyOf<T>(c: Context<HttpEnv>, schema: z.ZodType<T>): Promise<T> {
  return jsonBodyOf(c, schema, BODY_BYTES_MAX);
}

function decided(outcome: TransactionOutcome): Response {
  const { state } = outcome;
  if (state === 'committed') return jsonReply(HttpStatus.ok, outcome);
  return jsonReply(state === 'forgotten' ? HttpStatus.gone : HttpStatus.conflict, outcome);
}
