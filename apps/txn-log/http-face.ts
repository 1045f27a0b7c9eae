import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { bodyOf, decoded, invalid, sendJson, serveRoutes } from '../http.ts';
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
 *   refusal. `id` (or the header `Idempotency-Key`) takes effect once
 * - `GET /transfers?account=ID`: newest first, with postings
 * - `GET /audit`
 * - `GET /sql?query=SELECT…`: rows; read only
 * - `GET /readyz`
 */
export function makeHttpFace(service: LedgerService): Server {
  return serveRoutes((request, response, url) => route(service, request, response, url));
}

async function route(
  service: LedgerService,
  request: IncomingMessage,
  response: ServerResponse,
  { pathname: path, searchParams }: URL,
): Promise<void> {
  const options = { stale: searchParams.get('stale') === '1' };
  switch (`${request.method} ${path}`) {
    case 'GET /readyz':
      return sendJson(response, 200, { ready: true });
    case 'GET /accounts':
      return sendJson(response, 200, await service.accounts(options));
    case 'POST /accounts': {
      const { account, overdraftLimit } = await objectOf(request);
      return decided(response, await service.open(account as string, overdraftLimit as number));
    }
    case 'GET /transfers':
      return sendJson(
        response,
        200,
        await service.transfers(searchParams.get('account') ?? undefined, options),
      );
    case 'POST /transfers':
      return decided(response, await transfer(service, request));
    case 'GET /audit':
      return sendJson(response, 200, await service.audit(options));
    case 'GET /sql':
      return sendJson(response, 200, await service.sql(searchParams.get('query') ?? ''));
  }
  if (request.method !== 'GET' || !path.startsWith('/accounts/'))
    return sendJson(response, 404, { message: `nothing at ${request.method} ${path}` });
  const id = decoded(path.slice('/accounts/'.length));
  const account = await service.account(id, options);
  return account === undefined
    ? sendJson(response, 404, { message: `no account ${id}` })
    : sendJson(response, 200, account);
}

async function transfer(service: LedgerService, request: IncomingMessage): Promise<LedgerResult> {
  const body = await objectOf(request);
  const { from, to, amount, postings, description } = body;
  const given = postings ?? legsOf(from, to, amount);
  return service.transfer({
    id: (body['id'] ?? request.headers['idempotency-key']) as string,
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
  [name: string]: unknown;
  account?: unknown;
  overdraftLimit?: unknown;
  from?: unknown;
  to?: unknown;
  amount?: unknown;
  postings?: unknown;
  description?: unknown;
}

async function objectOf(request: IncomingMessage): Promise<Body> {
  const text = await bodyOf(request, BODY_BYTES_MAX);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null) return body as Body;
  } catch {
    // Said below.
  }
  throw invalid('the body of the request is not a JSON object', 'send one');
}

function decided(response: ServerResponse, result: LedgerResult): void {
  sendJson(response, result.done ? 200 : 409, result);
}
