import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpTarget } from 'varlog/node';
import { z } from 'zod';
import { bytesOf, decoded, invalid, sendJson, serveRoutes } from '../http.ts';
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
 * What there is beside (`/readyz` and the like) is `other`'s.
 */
export function makeHttpFace(service: LedgerService, other: Pages): Server {
  return serveRoutes(async (request, response, target) => {
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (reads && (await other(target.pathname, response))) return;
    await route(service, request, response, target);
  });
}

type Answer = (
  service: LedgerService,
  request: IncomingMessage,
  response: ServerResponse,
  target: HttpTarget,
) => Promise<void>;

const RESOURCES: Record<string, Record<string, Answer>> = {
  '/accounts': {
    GET: async (service, _, response, target) =>
      sendJson(response, 200, await service.accounts(reading(target))),
    POST: async (service, request, response) => {
      const { account, overdraftLimit } = await bodyOf(request, Opening);
      decided(response, await service.open(account, overdraftLimit));
    },
  },
  '/accounts/': { GET: account },
  '/transfers': {
    GET: async (service, _, response, target) => {
      const of = target.searchParams.get('account') ?? undefined;
      sendJson(response, 200, await service.transfers(of, reading(target)));
    },
    POST: async (service, request, response) => decided(response, await transfer(service, request)),
  },
  '/audit': {
    GET: async (service, _, response, target) =>
      sendJson(response, 200, await service.audit(reading(target))),
  },
  '/sql': {
    GET: async (service, _, response, { searchParams }) =>
      sendJson(response, 200, await service.sql(searchParams.get('query') ?? '')),
  },
};

async function route(
  service: LedgerService,
  request: IncomingMessage,
  response: ServerResponse,
  target: HttpTarget,
): Promise<void> {
  const { pathname: path } = target;
  const name = path.startsWith('/accounts/') ? '/accounts/' : path;
  const resource = Object.hasOwn(RESOURCES, name) ? RESOURCES[name] : undefined;
  if (resource === undefined) return sendJson(response, 404, { message: `nothing at ${path}` });
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
  const answer = Object.hasOwn(resource, method) ? resource[method] : undefined;
  if (answer !== undefined) return answer(service, request, response, target);
  const allow = Object.keys(resource).join(', ');
  response.setHeader('allow', allow);
  sendJson(response, 405, { message: `the methods here are ${allow}` });
}

async function account(
  service: LedgerService,
  _: IncomingMessage,
  response: ServerResponse,
  target: HttpTarget,
): Promise<void> {
  const id = decoded(target.pathname.slice('/accounts/'.length));
  const found = await service.account(id, reading(target));
  if (found === undefined) sendJson(response, 404, { message: `no account ${id}` });
  else sendJson(response, 200, found);
}

function reading({ searchParams }: HttpTarget): { stale: boolean } {
  return { stale: searchParams.get('stale') === '1' };
}

async function transfer(service: LedgerService, request: IncomingMessage): Promise<LedgerResult> {
  const body = await bodyOf(request, Transferring);
  const key = request.headers['idempotency-key'];
  if (key !== undefined && body.id !== undefined && key !== body.id)
    throw invalid('the Idempotency-Key and the id of the transfer differ', 'give one of them');
  return service.transfer({
    // Without a name, it is refused by the ledger.
    id: body.id ?? String(key ?? ''),
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

/** The body of a request as `schema` has it. Rejects with `INVALID_ARGUMENT` where it is not. */
async function bodyOf<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const bytes = await bytesOf(request, BODY_BYTES_MAX);
  const { success, data, error } = schema.safeParse(jsonOf(bytes));
  if (success) return data;
  const { path, message } = error.issues[0]!;
  throw invalid(
    `the body of the request${path.map((it) => `.${String(it)}`).join('')}: ${message}`,
    'send a JSON object with the fields that this resource has',
  );
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid('the body of the request is not JSON', 'send a JSON object, in UTF-8');
  }
}

function decided(response: ServerResponse, result: LedgerResult): void {
  const status = result.done ? 200 : result.refusal === 'KEY_REUSED' ? 422 : 409;
  sendJson(response, status, result);
}
