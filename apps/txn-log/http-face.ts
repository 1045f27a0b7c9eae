import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { VarlogError } from 'varlog/log';
import type { LedgerResult, Leg } from './ledger-machine.ts';
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
  return createServer((request, response) => {
    route(service, request, response).catch((error: unknown) => fail(response, error));
  });
}

async function route(
  service: LedgerService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const { pathname: path, searchParams } = url;
  const options = { stale: searchParams.get('stale') === '1' };
  switch (`${request.method} ${path}`) {
    case 'GET /readyz':
      return send(response, 200, { ready: true });
    case 'GET /accounts':
      return send(response, 200, await service.accounts(options));
    case 'POST /accounts': {
      const { account, overdraftLimit } = await bodyOf(request);
      return decided(response, await service.open(account as string, overdraftLimit as number));
    }
    case 'GET /transfers':
      return send(
        response,
        200,
        await service.transfers(searchParams.get('account') ?? undefined, options),
      );
    case 'POST /transfers':
      return decided(response, await transfer(service, request));
    case 'GET /audit':
      return send(response, 200, await service.audit(options));
    case 'GET /sql':
      return send(response, 200, await service.sql(searchParams.get('query') ?? ''));
  }
  if (request.method !== 'GET' || !path.startsWith('/accounts/'))
    return send(response, 404, { message: `nothing at ${request.method} ${path}` });
  const id = decoded(path.slice('/accounts/'.length));
  const account = await service.account(id, options);
  return account === undefined
    ? send(response, 404, { message: `no account ${id}` })
    : send(response, 200, account);
}

async function transfer(service: LedgerService, request: IncomingMessage): Promise<LedgerResult> {
  const body = await bodyOf(request);
  const { from, to, amount, postings, description } = body;
  const given = postings ?? [
    { account: from, amount: -(amount as number) },
    { account: to, amount },
  ];
  return service.transfer({
    id: (body['id'] ?? request.headers['idempotency-key']) as string,
    legs: given as Leg[],
    ...(description === undefined ? {} : { description: description as string }),
  });
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

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX)
      throw invalid('ENTRY_TOO_LARGE', `the request has more than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof body === 'object' && body !== null) return body as Body;
  } catch {
    // Said below.
  }
  throw invalid('INVALID_ARGUMENT', 'the body of the request is not a JSON object');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('INVALID_ARGUMENT', `${text} is not a percent-encoded name`);
  }
}

function invalid(code: 'INVALID_ARGUMENT' | 'ENTRY_TOO_LARGE', what: string): VarlogError {
  return new VarlogError(code, { what, next: 'correct it', outcome: 'notAppended' });
}

function decided(response: ServerResponse, result: LedgerResult): void {
  send(response, result.done ? 200 : 409, result);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(`${JSON.stringify(body)}\n`);
}

const STATUS: Record<string, number> = {
  INVALID_ARGUMENT: 400,
  ENTRY_TOO_LARGE: 413,
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
  send(response, STATUS[code] ?? 503, { code, message, outcome });
}
