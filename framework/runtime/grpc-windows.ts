import type { Server } from '@grpc/grpc-js';

/**
 * What a peer may send ahead on a stream, and on a connection, before it hears that it was taken. HTTP/2's default of 64 KiB
 * has the sender of a megabyte wait, and both processes wake up, sixteen times. Not more: each stream that is read slowly
 * may hold so much at its receiver, and a node may follow a thousand log streams.
 */
export const WINDOW_BYTES = 256 * 1024;

interface Session {
  setLocalWindowSize?(bytes: number): void;
}

interface Insides {
  commonServerOptions?: { settings?: object };
  http2Servers?: ReadonlyMap<
    { on(event: 'session', listener: (session: Session) => void): void },
    unknown
  >;
}

/**
 * Has a server that is not bound yet grant its clients {@link WINDOW_BYTES} on a stream. grpc-js has an option for this at
 * clients only: where its insides have changed, the windows are those of HTTP/2.
 */
export function widenStreams(server: Server): void {
  const { commonServerOptions: options } = server as unknown as Insides;
  if (options !== undefined) {
    options.settings = { ...options.settings, initialWindowSize: WINDOW_BYTES };
  }
}

/** The same for the connections of a server that is bound. */
export function widenConnections(server: Server): void {
  const { http2Servers } = server as unknown as Insides;
  for (const http2Server of http2Servers?.keys() ?? []) {
    http2Server.on('session', (session) => session.setLocalWindowSize?.(WINDOW_BYTES));
  }
}
