import type { IncomingMessage, Server } from 'node:http';
import type { Context } from 'hono';
import { type ErrorCode, reasonOf, VarlogError } from 'varlog/log';
import {
  type AccessTokens,
  bearerOf,
  type HttpApp,
  type HttpEnv,
  HttpStatus,
  httpServer,
  textReply,
} from 'varlog/node';
import type { z } from 'zod';
import { statusOfCode } from './error-status.ts';
import { invalid, taken } from './inputs.ts';

/** Pages without a token: probes and scrapers commonly have none, and they show no data. */
const OPEN = new Set(['/livez', '/readyz', '/metrics']);

/**
 * A server with these routes; what they reject with is answered as {@link errorBody}. With tokens, all but the pages for
 * operators ask for one of them.
 */
export function serveRoutes(routes: (app: HttpApp) => void, tokens?: AccessTokens): Server {
  return httpServer((app) => {
    if (tokens !== undefined) {
      app.use(async ({ req, env }, next) => {
        const shown = bearerOf(env.incoming.headers.authorization);
        return OPEN.has(req.path) || tokens.has(shown) ? next() : unauthenticated(shown);
      });
    }
    routes(app);
  }, errorReply);
}

/** Not by an error, since those of the same code are what the log says to this server: it is not the client who can mend them. */
function unauthenticated(shown: string | undefined): Response {
  const error = new VarlogError('UNAUTHENTICATED', {
    what:
      shown === undefined
        ? 'no access token came with the request'
        : 'the access token of the request is none that this server knows',
    next: 'send "authorization: Bearer TOKEN"; commands take the token from --token-file or VARLOG_TOKEN_FILE',
    outcome: 'notAppended',
  });
  return jsonReply(HttpStatus.unauthorized, errorBody(error), { 'www-authenticate': 'Bearer' });
}

/** The query of a request as `schema` has it; of what stands there several times, the first. Throws `INVALID_ARGUMENT`. */
export function queryOf<T>({ req }: Context<HttpEnv>, schema: z.ZodType<T>): T {
  return taken(schema, req.query(), 'query', 'correct it, or leave it out');
}

/** Its headers as `schema` has them, by their names in small letters. Throws `INVALID_ARGUMENT`. */
export function headersOf<T>(
  { env }: Context<HttpEnv>,
  schema: z.ZodType<T>,
  next = 'correct it, or leave it out',
): T {
  return taken(schema, env.incoming.headers, 'headers', next);
}

/**
 * The body of a request. Rejects with `ENTRY_TOO_LARGE` as soon as it has more than `bytesMax` bytes, and with
 * `CANCELLED` when it ends before all of it has come.
 */
export function bytesOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Its end may have come before anybody listened for it.
    if (request.destroyed) return reject(cutOff());
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

/** The body of a request, in JSON, as `schema` has it. Rejects with `INVALID_ARGUMENT` where it is not, and like {@link bytesOf}. */
export async function jsonBodyOf<T>(
  { env }: Context<HttpEnv>,
  schema: z.ZodType<T>,
  bytesMax: number,
): Promise<T> {
  const bytes = await bytesOf(env.incoming, bytesMax);
  return taken(
    schema,
    jsonOf(bytes),
    'body',
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

/** Refuses a method that a resource does not have: 405, with those that it has. */
export function notAllowed(allow: string): Response {
  return textReply(HttpStatus.methodNotAllowed, `the methods here are ${allow}\n`, { allow });
}

/** An answer in JSON. */
export function jsonReply(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const text = `${JSON.stringify(body)}\n`;
  return textReply(status, text, { 'content-type': 'application/json', ...headers });
}

function errorReply(error: unknown): Response {
  const body = errorBody(error);
  const status = statusOfCode(body.code);
  const again = status === HttpStatus.tooManyRequests || status === HttpStatus.serviceUnavailable;
  return jsonReply(status, body, again ? { 'retry-after': '1' } : {});
}

/** An error as programs see it. `outcome` tells of a failed write whether it may still take effect. */
export function errorBody(error: unknown): { code: ErrorCode; message: string; outcome?: string } {
  const message = reasonOf(error);
  if (!VarlogError.is(error)) return { code: 'INTERNAL', message };
  const { code, outcome } = error;
  return { code, message, ...(outcome === undefined ? {} : { outcome }) };
}
