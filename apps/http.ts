import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { VarlogError } from 'varlog/log';

const STATUS: Record<string, number> = {
  INVALID_ARGUMENT: 400,
  POSITION_OUT_OF_RANGE: 400,
  ENTRY_TOO_LARGE: 413,
  TRIMMED: 410,
  RESOURCE_EXHAUSTED: 429,
  TIMEOUT: 504,
};

/** A server whose requests `route` answers; what it throws is answered with {@link sendError}. */
export function serveRoutes(
  route: (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>,
): Server {
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    route(request, response, url).catch((error: unknown) => sendError(response, error));
  });
}

/** The body of a request. Rejects with `ENTRY_TOO_LARGE` as soon as it has more than `bytesMax` bytes. */
export async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) {
      throw new VarlogError('ENTRY_TOO_LARGE', {
        what: `the body of the request has more than ${bytesMax} bytes`,
        next: 'split it',
        outcome: 'notAppended',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A part of a path as it was meant. Throws `INVALID_ARGUMENT` for what is not percent-encoded. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`${text} is not a percent-encoded name`, 'write a % as %25');
  }
}

/** What to throw at a request that makes no sense. */
export function invalid(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}

/** Answers with text. */
export function sendText(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(body);
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(`${JSON.stringify(body)}\n`);
}

/** Answers with an error as `{ code, message, outcome }`; ends an answer that was begun. */
export function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const code = VarlogError.is(error) ? error.code : 'INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const outcome = VarlogError.is(error) ? error.outcome : undefined;
  sendJson(response, STATUS[code] ?? 503, { code, message, outcome });
}
