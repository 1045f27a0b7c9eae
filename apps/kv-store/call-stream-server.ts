import { type handleBidiStreamingCall, status } from '@grpc/grpc-js';
import {
  type Answer,
  type Answers,
  type Call,
  fieldOf,
  type Replies,
  takeMessage,
} from './calls.ts';
import { statusOf } from './grpc-status.ts';
import type { Operations } from './operations.ts';
import { outboxOf, outletOf } from './outlet.ts';
import type { KvService } from './service.ts';

/** A client with more calls under way than this is not listened to until some are answered. */
const UNDER_WAY_MAX = 10_000;

/**
 * Answers calls as they become ready; those of one turn leave together. When `ending` is aborted, no more calls are taken
 * and a session ends as soon as those that it has are answered.
 */
export function serveCallStream(
  operations: Operations,
  service: Pick<KvService, 'log'>,
  ending: AbortSignal,
): handleBidiStreamingCall<{ calls: Call[] }, Answers> {
  /** One listener for all sessions: Node.js warns of more than ten as a leak. */
  const stops = new Set<() => void>();
  const stopAll = (): void => {
    for (const stop of stops) stop();
  };
  ending.addEventListener('abort', stopAll, { once: true });
  return (stream) => {
    const ready: Answer[] = [];
    let underWay = 0;
    let ended = ending.aborted;
    let over = false;
    const finish = (): void => {
      if (!ended || over || underWay > 0 || ready.length > 0) return;
      over = true;
      stream.end();
    };
    const outlet = outletOf<Answers>(stream);
    const outbox = outboxOf<Answers>(() => {
      if (stream.cancelled || over) return;
      while (ready.length > 0 && !outbox.isBlocked)
        outbox.send(outlet, { answers: takeMessage(ready), log: service.log });
      // Who does not read the answers is not asked for more calls.
      if (outbox.isBlocked || underWay >= UNDER_WAY_MAX) stream.pause();
      else stream.resume();
      finish();
    });
    const answered = (answer: Answer): void => {
      underWay--;
      ready.push(answer);
      outbox.schedule();
    };
    const stop = (): void => {
      ended = true;
      finish();
    };
    stream.on('data', ({ calls }: { calls: Call[] }) => {
      // Calls that nobody has begun with go to another replica.
      if (ended) return;
      underWay += calls.length;
      for (const call of calls) answerTo(call, operations, answered);
      if (underWay >= UNDER_WAY_MAX) stream.pause();
    });
    stream.on('end', stop);
    stops.add(stop);
    for (const event of ['cancelled', 'close']) stream.once(event, () => stops.delete(stop));
    finish();
  };
}

/** Calls `answered` once, later or at once. */
function answerTo(call: Call, operations: Operations, answered: (answer: Answer) => void): void {
  const { id, request } = call;
  if (request === undefined) {
    answered(failure(id, status.UNIMPLEMENTED, 'a call without a request'));
    return;
  }
  const perform = operations[request] as (it: unknown) => Promise<Replies['put' | 'get' | 'list']>;
  const field = fieldOf(request);
  perform(call[request]).then(
    (reply) => answered({ id, [field]: reply }),
    (error: unknown) => {
      const { code, details } = statusOf(error);
      answered(failure(id, code, details));
    },
  );
}

function failure(id: number, code: status, message: string): Answer {
  return { id, failure: { status: code, message } };
}
