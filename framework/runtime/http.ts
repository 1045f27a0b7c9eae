import { createServer, type IncomingMessage } from 'node:http';
import { listenError, tcpAddress } from './tcp-address.ts';

export interface HttpReply {
  status: number;
  contentType: string;
  body: string;
}

export interface HttpServer {
  /** `host:port` that was bound. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Serves small text answers to GET requests: health checks and metrics. `answer` gets the path
 * without its query; `undefined` becomes 404. Rejects with `ADDRESS_IN_USE` or `INVALID_ARGUMENT`.
 */
export async function serveHttp(
  address: string,
  answer: (path: string) => Promise<HttpReply | undefined>,
): Promise<HttpServer> {
  const { host, port } = tcpAddress(address);
  const reply = async (request: IncomingMessage): Promise<HttpReply> => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const found = request.method === 'GET' ? await answer(path) : undefined;
    return found ?? { status: 404, contentType: 'text/plain', body: `nothing at ${path}\n` };
  };
  const server = createServer((request, response) => {
    reply(request)
      .catch((error: unknown) => ({
        status: 500,
        contentType: 'text/plain',
        body: `${error instanceof Error ? error.message : String(error)}\n`,
      }))
      .then(({ status, contentType, body }) => {
        response.writeHead(status, { 'content-type': contentType }).end(body);
      })
      .catch(() => response.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(address, cause)));
    server.listen(port, host.replace(/^\[|\]$/g, ''), () => {
      const bound = server.address();
      const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
      resolve({
        address: `${host}:${boundPort}`,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
