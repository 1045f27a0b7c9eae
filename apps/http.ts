import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { reasonOf, VarlogError } from 'varlog/log';
import { type HttpHandler, httpServer } from 'varlog/node';

const STATUS: Record<string, number> = {
  INVALID_ARGUMENT: 400,
  POSITION_OUT_OF_RANGE: 400,
  NOT_FOUND: 404,
  TRIMMED: 410,
  ENTRY_TOO_LARGE: 413,
  REQUEST_MISMATCH: 422,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  TIMEOUT: 504,
};

/** A server whose requests `route` answers; what it rejects with is answered with {@link sendError}. */
export function serveRoutes(route: HttpHandler): Server {
  return httpServer(route, sendError);
}

/**
 * The body of a request. Rejects with `ENTRY_TOO_LARGE` as soon as it has more than `bytesMax` bytes, and with
 * `CANCELLED` when it ends before all of it has come.
 */
export function bytesOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      // What comes after is read and dropped: a sender that is cut off never sees the answer.
      if (size > bytesMax) {
        chunks.length = 0;
        reject(tooLarge(bytesMax));
      } else chunks.push(chunk);
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('close', () => reject(cutOff()));
  });
}

function tooLarge(bytesMax: number): VarlogError {
  return new VarlogError('ENTRY_TOO_LARGE', {
    what: `the body of the request has more than ${bytesMax} bytes`,
    next: 'split it',
    outcome: 'notAppended',
  });
}

function cutOff(): VarlogError {
  return new VarlogError('CANCELLED', {
    what: 'the request ended before its body was complete',
    outcome: 'notAppended',
  });
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

/** Refuses a method that a resource does not have: 405, with those that it has. */
export function sendNotAllowed(response: ServerResponse, allow: string): void {
  sendText(response, 405, `the methods here are ${allow}\n`, { allow });
}

/** Answers with text or bytes; `content-type` is that of text unless `headers` says otherwise. */
export function sendText(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): void {
  const own = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
  };
  response.writeHead(status, { ...own, ...headers }).end(body);
}

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = `${JSON.stringify(body)}\n`;
  sendText(response, status, text, { 'content-type': 'application/json', ...headers });
}

/** Answers with an error as {@link errorBody}; ends an answer that was begun. */
function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = errorBody(error);
  const status = STATUS[body.code] ?? 503;
  const again = status === 429 || status === 503;
  sendJson(response, status, body, again ? { 'retry-after': '1' } : {});
}

/** An error as programs see it. `outcome` tells of a failed write whether it may still take effect. */
export function errorBody(error: unknown): { code: string; message: string; outcome?: string } {
  const message = reasonOf(error);
  if (!VarlogError.is(error)) return { code: 'INTERNAL', message };
  const { code, outcome } = error;
  return { code, message, ...(outcome === undefined ? {} : { outcome }) };
}
