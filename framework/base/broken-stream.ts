import type { MessageStream } from './network.ts';

/** A stream that never came to be, for `reason`. */
export function brokenStream<Out, In>(reason: unknown): MessageStream<Out, In> {
  const closed = Promise.reject(reason);
  closed.catch(() => {});
  return {
    send: () => false,
    writable: () => closed,
    receive: () => {},
    end: () => {},
    cancel: () => {},
    closed,
  };
}
