import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { reasonOf, VarlogError } from '../base/index.ts';
import { hostTimers } from './host-timers.ts';
import { listenError, tcpAddress } from './tcp-address.ts';

export interface HttpReply {
  status: number;
  contentType: string;
  body: string;
  headers?: Record<string, string>;
}

export interface HttpServer {
  /** `host:port` that was bound. */
  readonly address: string;
  close(): Promise<void>;
}

/** What a request asks for: its path exactly as it was sent, and its query. */
export type HttpTarget = Pick<URL, 'pathname' | 'searchParams'>;

/** Answers one request. What it rejects with goes to the `failed` of {@link httpServer}. */
export type HttpHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  target: HttpTarget,
) => Promise<void>;

/** A request, with its body, arrives within this time or is refused: nobody holds a connection for ever by saying nothing. */
const REQUEST_MS = 60_000;
/** A peer that vanished without a word is looked for after so long. */
const KEEP_ALIVE_MS = 30_000;

/**
 * A server whose requests `handler` answers. This is the one place where a handler of HTTP runs: whatever a request says
 * and however its connection ends, the worst that comes of it is that `failed` is asked to answer, or that the
 * connection is closed.
 */
export function httpServer(
  handler: HttpHandler,
  failed: (response: ServerResponse, error: unknown) => void,
): Server {
  const options = {
    requestTimeout: REQUEST_MS,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  };
  const run = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await handler(request, response, targetOf(request.url ?? '/'));
    } catch (error) {
      failed(response, error);
    }
  };
  const server = createServer(options, (request, response) => {
    // Whoever has left while being answered is no failure of this process.
    request.on('error', () => {});
    response.on('error', () => {});
    run(request, response).catch(() => response.destroy());
  });
  // Where connections cannot be accepted for a while, those that there are go on.
  server.on('error', () => {});
  return server;
}

/**
 * The target of a request line. It is taken apart by hand: a URL parser refuses `//`, and makes another path of one
 * with dots in it. Throws `INVALID_ARGUMENT`.
 */
function targetOf(line: string): HttpTarget {
  const [, host, path = host && '/', query = ''] =
    /^(https?:\/\/[^/?#]+)?(\/[^?#]*)?(?:\?([^#]*))?/i.exec(line) ?? [];
  if (path === undefined) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'the target of the request is not a path',
      next: 'begin it with /',
      outcome: 'notAppended',
    });
  }
  return { pathname: path, searchParams: new URLSearchParams(query) };
}

/** Listens at `host:port`; resolves with the address that was bound. Rejects with `ADDRESS_IN_USE` or `INVALID_ARGUMENT`. */
export async function listen(server: Server, address: string): Promise<string> {
  const { host, port } = tcpAddress(address);
  return new Promise((resolve, reject) => {
    const refused = (cause: Error): void => reject(listenError(address, cause));
    server.once('error', refused);
    server.listen(port, host.replace(/^\[|\]$/g, ''), () => {
      server.off('error', refused);
      const bound = server.address();
      resolve(`${host}:${typeof bound === 'object' && bound !== null ? bound.port : port}`);
    });
  });
}

/** Ends a server. Requests that are under way are answered, for up to `graceMs`; then all connections are closed. */
export function stopListening(server: Server, graceMs = 0): Promise<void> {
  return new Promise((resolve) => {
    const timer = hostTimers.setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      hostTimers.clearTimeout(timer);
      resolve();
    });
    if (graceMs === 0) server.closeAllConnections();
  });
}

/**
 * Serves small text answers to GET and HEAD requests: health checks and metrics. `answer` gets the path
 * without its query; `undefined` becomes 404. Rejects with `ADDRESS_IN_USE` or `INVALID_ARGUMENT`.
 */
export async function serveHttp(
  address: string,
  answer: (path: string) => Promise<HttpReply | undefined>,
): Promise<HttpServer> {
  const text = (status: number, body: string): HttpReply => ({
    status,
    contentType: 'text/plain; charset=utf-8',
    body: `${body}\n`,
  });
  const reply = async ({ method }: IncomingMessage, path: string): Promise<HttpReply> => {
    if (method !== 'GET' && method !== 'HEAD')
      return { ...text(405, `${method} is not answered here`), headers: { allow: 'GET, HEAD' } };
    return (await answer(path)) ?? text(404, `nothing at ${path}`);
  };
  const send = (response: ServerResponse, it: HttpReply): void => {
    response.writeHead(it.status, { 'content-type': it.contentType, ...it.headers }).end(it.body);
  };
  const server = httpServer(
    async (request, response, { pathname }) => send(response, await reply(request, pathname)),
    (response, error) => {
      const status = VarlogError.is(error, 'INVALID_ARGUMENT') ? 400 : 500;
      send(response, text(status, reasonOf(error)));
    },
  );
  const bound = await listen(server, address);
  return { address: bound, close: () => stopListening(server) };
}
