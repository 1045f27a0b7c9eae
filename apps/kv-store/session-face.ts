import { type handleBidiStreamingCall, status } from '@grpc/grpc-js';
import { type Answer, type Call, fieldOf } from './calls.ts';
import { statusOf } from './grpc-status.ts';
import type { Operations } from './operations.ts';

/** Answers calls as they become ready; those of one turn leave in one message. */
export function serveSession(
  operations: Operations,
): handleBidiStreamingCall<{ calls: Call[] }, { answers: Answer[] }> {
  return (stream) => {
    const ready: Answer[] = [];
    let underWay = 0;
    let ended = false;
    const flush = (): void => {
      if (stream.cancelled) return;
      // Who does not read the answers is not asked for more calls.
      if (!stream.write({ answers: ready.splice(0) })) {
        stream.pause();
        stream.once('drain', () => stream.resume());
      }
      if (ended && underWay === 0) stream.end();
    };
    stream.on('data', ({ calls }: { calls: Call[] }) => {
      underWay += calls.length;
      for (const call of calls) {
        answerTo(call, operations).then(
          (answer) => {
            underWay--;
            if (ready.push(answer) === 1) setImmediate(flush);
          },
          (error: Error) => stream.destroy(error),
        );
      }
    });
    stream.on('end', () => {
      ended = true;
      if (underWay === 0) stream.end();
    });
  };
}

async function answerTo({ id, request, ...call }: Call, operations: Operations): Promise<Answer> {
  try {
    if (request === undefined) return failure(id, status.UNIMPLEMENTED, 'a call without a request');
    const perform = operations[request] as (it: unknown) => Promise<object>;
    return { id, [fieldOf(request)]: await perform(call[request]) };
  } catch (error) {
    const { code, details } = statusOf(error);
    return failure(id, code, details);
  }
}

function failure(id: number, code: status, message: string): Answer {
  return { id, failure: { status: code, message } };
}
