import type { handleUnaryCall } from '@grpc/grpc-js';
import { etcdStatusOf } from './etcd-error.ts';

/** A method of which `answer` gives the reply, or rejects with an error to be told. */
export function unary<Request, Reply>(
  answer: (request: Request) => Promise<Reply>,
): handleUnaryCall<Request, Reply> {
  return ({ request }, callback) => {
    // What is wrong with a request may be thrown at once.
    Promise.resolve(request)
      .then(answer)
      .then(
        (reply) => callback(null, reply),
        (error: unknown) => callback(etcdStatusOf(error)),
      );
  };
}
