import type { Socket } from 'node:net';
import type { Server } from '@grpc/grpc-js';

interface Listening {
  on(event: 'connection', listener: (socket: Socket) => void): void;
}

interface Insides {
  http2Servers?: ReadonlyMap<Listening, unknown>;
}

/**
 * Remembers the connections of a server of grpc-js that is bound; what is returned breaks them all at once. Whatever
 * grpc-js itself does to a connection waits for the other side to close it too, and for the first bytes of one that has
 * sent none: a process that stands still, or a network that swallows everything, would keep a server from ending. There
 * is no call for this; where its insides have changed, such a peer is waited for.
 */
export function trackConnections(server: Server): () => void {
  const sockets = new Set<Socket>();
  const { http2Servers } = server as unknown as Insides;
  for (const listening of http2Servers?.keys() ?? []) {
    listening.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  }
  return () => {
    for (const it of sockets) it.destroy();
  };
}
