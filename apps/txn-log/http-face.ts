import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpTarget } from 'varlog/node';
import { bytesOf, decoded, invalid, sendJson, serveRoutes } from '../http.ts';
import type { Pages } from '../operator-pages.ts';
import type { Leg } from './book.ts';
import { amountProblem } from './ledger-command.ts';
import type { LedgerResult } from './ledger-machine.ts';
import type { LedgerService } from './ledger-service.ts';

const BODY_BYTES_MAX = 64 * 1024;

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
      const { account, overdraftLimit } = await objectOf(request);
      decided(response, await service.open(account as string, overdraftLimit as number));
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
  const body = await objectOf(request);
  const { from, to, amount, postings, description } = body;
  const key = request.headers['idempotency-key'];
  if (key !== undefined && body.id !== undefined && key !== body.id)
    throw invalid('the Idempotency-Key and the id of the transfer differ', 'give one of them');
  const given = postings ?? legsOf(from, to, amount);
  return service.transfer({
    id: (body.id ?? key) as string,
    legs: given as Leg[],
    ...(description === undefined ? {} : { description: description as string }),
  });
}

/** Money goes from one to the other: an amount below zero would take it from the one who is to be paid. */
function legsOf(from: unknown, to: unknown, amount: unknown): unknown[] {
  const problem = amountProblem(amount);
  if (problem !== undefined) throw invalid(problem.what, problem.next);
  if ((amount as number) < 0)
    throw invalid(
      `${amount} is less than nothing`,
      'to move money the other way, exchange from and to',
    );
  return [
    { account: from, amount: -(amount as number) },
    { account: to, amount },
  ];
}

interface Body {
  id?: unknown;
  account?: unknown;
  overdraftLimit?: unknown;
  from?: unknown;
  to?: unknown;
  amount?: unknown;
  postings?: unknown;
  description?: unknown;
}

async function objectOf(request: IncomingMessage): Promise<Body> {
  const bytes = await bytesOf(request, BODY_BYTES_MAX);
  try {
    const body: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  } catch {
    // Said below.
  }
  throw invalid('the body of the request is not a JSON object', 'send one, in UTF-8');
}

function decided(response: ServerResponse, result: LedgerResult): void {
  const status = result.done ? 200 : result.refusal === 'KEY_REUSED' ? 422 : 409;
  sendJson(response, status, result);
}
