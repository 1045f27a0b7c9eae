import type { Writable } from 'node:stream';
import { Outbox, type Outlet } from 'varlog/node';

/** What gathers on a stream of gRPC leaves once a turn, as much as the stream has room for: see {@link Outbox}. */
export function outboxOf<Message>(flush: () => void): Outbox<Message> {
  return new Outbox({ defer: (run) => void setImmediate(run) }, flush);
}

/** The sending end of a stream of gRPC. */
export function outletOf<Message>(
  stream: Pick<Writable, 'once' | 'off'> & { write(message: Message): boolean },
): Outlet<Message> {
  return {
    send: (message) => stream.write(message),
    writable: () =>
      new Promise((resolve, reject) => {
        const drained = (): void => {
          stream.off('close', closed);
          resolve();
        };
        const closed = (): void => {
          stream.off('drain', drained);
          reject(new Error('the stream is over'));
        };
        stream.once('drain', drained);
        stream.once('close', closed);
      }),
  };
}
