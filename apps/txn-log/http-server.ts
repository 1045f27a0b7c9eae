import type { Server } from 'node:http';
import type { Context } from 'hono';
import { type HttpEnv, HttpStatus } from 'varlog/node';
import { z } from 'zod';
import { decoded, headersOf, jsonBodyOf, jsonReply, queryOf, serveRoutes } from '../http.ts';
import { invalid } from '../inputs.ts';
import type { Pages } from '../operator-pages.ts';
import type { Leg } from './book.ts';
import { amountProblem } from './ledger-command.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { LedgerService } from './ledger-service.ts';

const BODY_BYTES_MAX = 64 * 1024;

const Opening = z.object({
  account: z.string(),
  overdraftLimit: z.number().nullable().optional(),
});
const Posting = z.object({ account: z.string(), amount: z.number() });
const Transferring = z.object({
  id: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  amount: z.number().optional(),
  postings: z.array(Posting).nullish(),
  description: z.string().optional(),
});
const Reading = z.object({
  stale: z
    .string()
    .optional()
    .transform((it) => it === '1'),
});
const History = Reading.extend({ account: z.string().optional() });
const Question = z.object({ query: z.string().default('') });
const Once = z.object({ 'idempotency-key': z.string().optional() });

/**
 * The ledger over HTTP, in JSON; amounts are minor units:
 *
 * - `POST /accounts` `{ account, overdraftLimit }`: opens one; `null` for no limit
 * - `GET /accounts`, `GET /accounts/ID` (`?stale=1`)
 * - `POST /transfers` `{ id, from, to, amount }` or `{ id, postings: [{ account, amount }, …] }`: 200, or 409 with the
 *   refusal. `id` (or the header `Idempotency-Key`) takes effect once; 422 when it comes with another transfer
 * - `GET /transfers?account=ID`: newest first, with postings
 * - `GET /audit`
 * - `GET /sql?query=SELECT…`: rows; read only
 *
 * What there is beside (`/readyz` and the like), `pages` adds.
 */
export function makeHttpServer(service: LedgerService, pages: Pages): Server {
  return serveRoutes((app) => {
    pages(app);
    app.get('/accounts', async (c) =>
      jsonReply(HttpStatus.ok, await service.accounts(queryOf(c, Reading))),
    );
    app.post('/accounts', async (c) => {
      const { account, overdraftLimit } = await bodyOf(c, Opening);
      return decided(await service.open(account, overdraftLimit));
    });
    app.all('/accounts', () => notAllowed('GET, POST'));

    // Behind /accounts, which it stands for as well.
    app.get('/accounts/*', async (c) => {
      const id = decoded(c.req.path.slice('/accounts/'.length));
      const found = await service.account(id, queryOf(c, Reading));
      if (found === undefined)
        return jsonReply(HttpStatus.notFound, { message: `no account ${id}` });
      return jsonReply(HttpStatus.ok, found);
    });
    app.all('/accounts/*', () => notAllowed('GET'));

    app.get('/transfers', async (c) => {
      const { account, stale } = queryOf(c, History);
      return jsonReply(HttpStatus.ok, await service.transfers(account, { stale }));
    });
    app.post('/transfers', async (c) => decided(await transfer(service, c)));
    app.all('/transfers', () => notAllowed('GET, POST'));

    app.get('/audit', async (c) =>
      jsonReply(HttpStatus.ok, await service.audit(queryOf(c, Reading))),
    );
    app.all('/audit', () => notAllowed('GET'));

    app.get('/sql', async (c) =>
      jsonReply(HttpStatus.ok, await service.sql(queryOf(c, Question).query)),
    );
    app.all('/sql', () => notAllowed('GET'));

    app.notFound(({ req }) =>
      jsonReply(HttpStatus.notFound, { message: `nothing at ${req.path}` }),
    );
  });
}

function notAllowed(allow: string): Response {
  return jsonReply(
    HttpStatus.methodNotAllowed,
    { message: `the methods here are ${allow}` },
    { allow },
  );
}

async function transfer(service: LedgerService, c: Context<HttpEnv>): Promise<LedgerResult> {
  const body = await bodyOf(c, Transferring);
  const { 'idempotency-key': key } = headersOf(c, Once);
  if (key !== undefined && body.id !== undefined && key !== body.id)
    throw invalid('the Idempotency-Key and the id of the transfer differ', 'give one of them');
  return service.transfer({
    // Without a name, it is refused by the ledger.
    id: body.id ?? key ?? '',
    legs: body.postings ?? legsOf(body),
    ...(body.description === undefined ? {} : { description: body.description }),
  });
}

/** Money goes from one to the other: an amount below zero would take it from the one who is to be paid. */
function legsOf({ from = '', to = '', amount = 0 }: z.infer<typeof Transferring>): Leg[] {
  const problem = amountProblem(amount);
  if (problem !== undefined) throw invalid(problem.what, problem.next);
  if (amount < 0)
    throw invalid(
      `${amount} is less than nothing`,
      'to move money the other way, exchange from and to',
    );
  return [
    { account: from, amount: -amount },
    { account: to, amount },
  ];
}

function bodyOf<T>(c: Context<HttpEnv>, schema: z.ZodType<T>): Promise<T> {
  return jsonBodyOf(c, schema, BODY_BYTES_MAX);
}

function decided(result: LedgerResult): Response {
  const status = result.done
    ? HttpStatus.ok
    : result.refusal === 'KEY_REUSED'
      ? HttpStatus.unprocessableContent
      : HttpStatus.conflict;
  return jsonReply(status, result);
}
