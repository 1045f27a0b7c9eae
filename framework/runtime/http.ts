import { createServer, type IncomingMessage, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { reasonOf, VarlogError } from '../base/index.ts';
import { hostTimers } from './host-timers.ts';
import { HttpStatus } from './http-status.ts';
import { listenError, tcpAddress } from './tcp-address.ts';

export interface HttpServer {
  /** `host:port` that was bound. */
  readonly address: string;
  close(): Promise<void>;
}

/** The environment of the routes, as Hono names it. */
export interface HttpEnv {
  /** What a route finds in `c.env`: the request as Node.js has it, and its path exactly as it was sent. */
  Bindings: { readonly incoming: IncomingMessage; readonly path: string };
}

/** An application of Hono, to which a server's routes are added. */
export type HttpApp = Hono<HttpEnv>;

/** What a request asks for: its path exactly as it was sent, and its query. */
type Target = Pick<URL, 'pathname' | 'searchParams'>;

/** A request, with its body, arrives within this time or is refused: nobody holds a connection for ever by saying nothing. */
const REQUEST_MS = 60_000;
/** Stands for what a request says of its host. */
const HOST = 'localhost';
/** A peer that vanished without a word is looked for after so long. */
const KEEP_ALIVE_MS = 30_000;
const SERVER = {
  requestTimeout: REQUEST_MS,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_MS,
};

/**
 * A server whose requests are answered by the routes that `routes` adds to an application of Hono. This is the one place
 * where they run: whatever a request says and however its connection ends, the worst that comes of it is that `failed`
 * gives the answer, or that the connection is closed.
 *
 * `c.req.path` is the path exactly as it was sent. Of `c.req.url`, only the query is the request's. `c.req.raw.signal` is
 * aborted when the other side leaves before all of the answer is sent.
 */
export function httpServer(
  routes: (app: HttpApp) => void,
  failed: (error: unknown) => Response,
): Server {
  const app: HttpApp = new Hono<HttpEnv>({ getPath: (_, options) => options!.env!.path });
  app.onError(failed);
  routes(app);
  const adapter = {
    hostname: HOST,
    errorHandler: failed,
    overrideGlobalObjects: false,
    // What is left of a body is the business of who reads it.
    autoCleanupIncoming: false,
  };
  const server = createServer(SERVER, (incoming, outgoing) => {
    // Whoever has left while being answered is no failure of this process.
    incoming.on('error', () => {});
    outgoing.on('error', () => {});
    const target = targetOf(incoming.url ?? '/');
    // The adapter takes both apart with a URL parser, which refuses some, and makes other paths of those with dots.
    incoming.url = `/?${target?.searchParams ?? ''}`;
    incoming.headers.host = HOST;
    const answer = async (request: Request): Promise<Response> => {
      if (target === undefined) throw noPath();
      return app.fetch(request, { incoming, path: target.pathname });
    };
    getRequestListener(answer, adapter)(incoming, outgoing).catch(() => outgoing.destroy());
  });
  // Where connections cannot be accepted for a while, those that there are go on.
  server.on('error', () => {});
  return server;
}

/**
 * The target of a request line, where it has a path. It is taken apart by hand: a URL parser refuses `//`, and makes
 * another path of one with dots in it.
 */
function targetOf(line: string): Target | undefined {
  const [, host, path = host && '/', query = ''] =
    /^(https?:\/\/[^/?#]+)?(\/[^?#]*)?(?:\?([^#]*))?/i.exec(line) ?? [];
  if (path === undefined) return undefined;
  return { pathname: path, searchParams: new URLSearchParams(query) };
}

function noPath(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'the target of the request is not a path',
    next: 'begin it with /',
    outcome: 'notAppended',
  });
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
 * Serves small text answers to GET and HEAD requests: health checks and metrics. Where `routes` has none, the answer is
 * 404. Rejects with `ADDRESS_IN_USE` or `INVALID_ARGUMENT`.
 */
export async function serveHttp(
  address: string,
  routes: (app: HttpApp) => void,
): Promise<HttpServer> {
  const server = httpServer(
    (app) => {
      app.use(async ({ req: { method } }, next) => {
        if (method === 'GET' || method === 'HEAD') return next();
        return textReply(HttpStatus.methodNotAllowed, `${method} is not answered here\n`, {
          allow: 'GET, HEAD',
        });
      });
      routes(app);
      app.notFound(({ req }) => textReply(HttpStatus.notFound, `nothing at ${req.path}\n`));
    },
    (error) => {
      const status = VarlogError.is(error, 'INVALID_ARGUMENT')
        ? HttpStatus.badRequest
        : HttpStatus.internalServerError;
      return textReply(status, `${reasonOf(error)}\n`);
    },
  );
  const bound = await listen(server, address);
  return { address: bound, close: () => stopListening(server) };
}

/** An answer with text or bytes; `content-type` is that of text unless `headers` says otherwise. */
export function textReply(
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const own = {
    'content-type': 'text/plain; charset=utf-8',
    // HEAD is answered without the body, and with its length.
    'content-length': String(Buffer.byteLength(body)),
  };
  // The type of a view says that its memory may be shared among threads; that of what is sent is not.
  return new Response(body as string | Uint8Array<ArrayBuffer>, {
    status,
    headers: { ...own, ...headers },
  });
}
