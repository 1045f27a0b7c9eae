import type { Server } from 'node:http';
import type { Context } from 'hono';
import { type AccessTokens, type HttpEnv, HttpStatus, textReply } from 'varlog/node';
import { z } from 'zod';
import { decoded, headersOf, jsonBodyOf, jsonReply, queryOf, serveRoutes } from '../http.ts';
import { invalid } from '../inputs.ts';
import type { Pages } from '../operator-pages.ts';
import { amountIn, writtenAmount } from './amount.ts';
import type { Leg } from './book.ts';
import { amountProblem, LEDGER_RULES } from './ledger-command.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { LedgerService, ReadOptions } from './ledger-service.ts';

const BODY_BYTES_MAX = 64 * 1024;

const Amount = z.union([z.number(), z.string()]).transform((written, context) => {
  const amount = amountIn(written);
  if (amount !== undefined) return amount;
  context.addIssue('not a whole number below 2^53, or one below 2^63 as a text of digits');
  return z.NEVER;
});
const Opening = z.object({
  account: z.string(),
  overdraftLimit: Amount.nullable().optional(),
  currency: z.string().optional(),
});
const Defining = z.object({ code: z.string(), exponent: z.number() });
const Posting = z.object({ account: z.string(), amount: Amount });
const Transferring = z.object({
  id: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  amount: Amount.optional(),
  postings: z.array(Posting).nullish(),
  description: z.string().optional(),
});
const WholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'not a whole number')
  .transform(Number);
const Reading = z.object({
  stale: z
    .string()
    .optional()
    .transform((it) => it === '1'),
  at: WholeNumber.optional(),
});
const History = Reading.extend({ account: z.string().optional() });
const PAGE_MAX = 1_000;
const OfStatement = Reading.extend({
  from: WholeNumber.optional(),
  to: WholeNumber.optional(),
  limit: WholeNumber.refine((it) => it >= 1 && it <= PAGE_MAX, `not 1 to ${PAGE_MAX}`).optional(),
  after: z
    .string()
    .regex(/^\d{1,15}\.\d{1,3}$/, 'not the "next" of a page')
    .transform((it) => {
      const [position, leg] = it.split('.').map(Number);
      return { position: position!, leg: leg! };
    })
    .optional(),
});
const Question = Reading.extend({ query: z.string().default('') });
const Once = z.object({ 'idempotency-key': z.string().optional() });

/**
 * The ledger over HTTP, in JSON; amounts are minor units, each a number, or its digits as a text. Answers have a text only where
 * a number would not be exact, from 2^53 on:
 *
 * - `POST /currencies` `{ code, exponent }`, `GET /currencies`
 * - `POST /accounts` `{ account, overdraftLimit, currency }`: opens one; `null` for no limit
 * - `GET /accounts`, `GET /accounts/ID`
 * - `GET /statements/ID?from=MS&to=MS&limit=N&after=NEXT`: what came and went, a page at a time, the oldest first
 * - `POST /transfers` `{ id, from, to, amount }` or `{ id, postings: [{ account, amount }, …] }`: 200, or 409 with the
 *   refusal. `id` (or the header `Idempotency-Key`) takes effect once; 422 when it comes with another transfer
 * - `GET /transfers?account=ID`: newest first, with postings
 * - `GET /audit`
 * - `POST /rebuild`: makes the database anew from the log, while the old one serves; answers when the new one does
 * - `GET /sql?query=SELECT…`: rows; read only
 *
 * Each `GET` takes `stale=1`, what this replica has, or `at=POSITION`, at least what an answer with that position did.
 *
 * What there is beside (`/readyz` and the like), `pages` adds. With tokens, all of the above ask for one of them:
 * `Authorization: Bearer TOKEN`.
 */
export function makeHttpServer(
  service: LedgerService,
  rebuild: () => Promise<number>,
  pages: Pages,
  tokens?: AccessTokens,
): Server {
  return serveRoutes((app) => {
    pages(app);
    app.get('/accounts', async (c) => amountsReply(await service.accounts(readingOf(c))));
    app.post('/accounts', async (c) => {
      const { account, overdraftLimit, currency } = await bodyOf(c, Opening);
      return decided(await service.open(account, overdraftLimit, currency));
    });
    app.all('/accounts', () => notAllowed('GET, POST'));

    // Behind /accounts, which it stands for as well.
    app.get('/accounts/*', async (c) => {
      const id = decoded(c.req.path.slice('/accounts/'.length));
      const found = await service.account(id, readingOf(c));
      if (found === undefined)
        return jsonReply(HttpStatus.notFound, { message: `no account ${id}` });
      return amountsReply(found);
    });
    app.all('/accounts/*', () => notAllowed('GET'));

    app.get('/statements/*', async (c) => {
      const account = decoded(c.req.path.slice('/statements/'.length));
      const { stale: _, at: __, ...question } = queryOf(c, OfStatement);
      const found = await service.statement({ account, ...question }, readingOf(c));
      if (found === undefined)
        return jsonReply(HttpStatus.notFound, { message: `no account ${account}` });
      const { next, ...page } = found;
      const shown = next === null ? null : `${next.position}.${next.leg}`;
      return amountsReply({ ...page, next: shown });
    });
    app.all('/statements/*', () => notAllowed('GET'));

    app.get('/currencies', async (c) =>
      jsonReply(HttpStatus.ok, await service.currencies(readingOf(c))),
    );
    app.post('/currencies', async (c) => decided(await service.define(await bodyOf(c, Defining))));
    app.all('/currencies', () => notAllowed('GET, POST'));

    app.get('/transfers', async (c) => {
      const { account } = queryOf(c, History);
      return amountsReply(await service.transfers(account, readingOf(c)));
    });
    app.post('/transfers', async (c) => decided(await transfer(service, c)));
    app.all('/transfers', () => notAllowed('GET, POST'));

    app.get('/audit', async (c) => jsonReply(HttpStatus.ok, await service.audit(readingOf(c))));
    app.all('/audit', () => notAllowed('GET'));

    app.post('/rebuild', async () => jsonReply(HttpStatus.ok, { position: await rebuild() }));
    app.all('/rebuild', () => notAllowed('POST'));

    app.get('/sql', async (c) =>
      jsonReply(HttpStatus.ok, await service.sql(queryOf(c, Question).query, readingOf(c))),
    );
    app.all('/sql', () => notAllowed('GET'));

    app.notFound(({ req }) =>
      jsonReply(HttpStatus.notFound, { message: `nothing at ${req.path}` }),
    );
  }, tokens);
}

function readingOf(c: Context<HttpEnv>): ReadOptions {
  const { stale, at } = queryOf(c, Reading);
  return { stale, atLeast: at };
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
function legsOf({ from = '', to = '', amount = 0n }: z.infer<typeof Transferring>): Leg[] {
  const problem = amountProblem(writtenAmount(amount), LEDGER_RULES);
  if (problem !== undefined) throw invalid(problem.what, problem.next);
  if (amount < 0n)
    throw invalid(
      `${amount} is less than nothing`,
      'to move money the other way, exchange from and to',
    );
  return [
    { account: from, amount: -amount },
    { account: to, amount },
  ];
}

function amountsReply(body: unknown): Response {
  const text = JSON.stringify(body, (_, value) =>
    typeof value === 'bigint' ? writtenAmount(value) : value,
  );
  return textReply(HttpStatus.ok, `${text}\n`, { 'content-type': 'application/json' });
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
