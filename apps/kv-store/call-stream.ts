import {
  type Client,
  type ClientDuplexStream,
  type Metadata,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { type Outlet, SequenceMap } from 'varlog/node';
import {
  type Answer,
  type Answers,
  type Call,
  fieldOf,
  isTooLarge,
  type Operation,
  type Replies,
  type Requests,
  takeMessage,
} from './calls.ts';
import { outboxOf, outletOf } from './outlet.ts';
import { keyValue } from './proto.ts';

/** Why a call failed: what gRPC or the store says of it. */
export class CallError extends Error {
  /** As gRPC numbers them. */
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a call or stream ended with. */
export function callError({ code, details }: Pick<StatusObject, 'code' | 'details'>): CallError {
  if (code !== status.UNAUTHENTICATED) return new CallError(code, details);
  const next = 'give one that the replicas know, by --token-file or VARLOG_TOKEN_FILE';
  return new CallError(code, `the replica refused the call: ${details}; ${next}`);
}

interface Pending {
  readonly at: number;
  readonly answered: (answer: Answer, log: string) => void;
  readonly failed: (error: CallError) => void;
}

interface Calls {
  readonly calls: Call[];
}

type Stream = ClientDuplexStream<Calls, Answers>;

/**
 * Calls to one replica over one stream. Those that are made in one turn leave in one message. A call that is not
 * answered in time breaks the stream, and with it all that are under way; the next call opens another one.
 */
export class CallStream {
  private readonly client: Client;
  private readonly answerMs: number;
  private readonly metadata: () => Metadata;
  private stream: Stream | undefined;
  private outlet: Outlet<Calls> | undefined;
  /** In the order of sending: the first has waited longest. */
  private readonly pending = new SequenceMap<Pending>();
  private outgoing: Call[] = [];
  private readonly outbox = outboxOf<Calls>(() => this.flush());
  private closed = false;
  private watch: NodeJS.Timeout | undefined;

  /** `metadata` makes what goes with each stream. */
  constructor(client: Client, answerMs: number, metadata: () => Metadata) {
    this.client = client;
    this.answerMs = answerMs;
    this.metadata = metadata;
  }

  /** Rejects with {@link CallError}. */
  call<K extends Operation>(operation: K, request: Requests[K]): Promise<Replies[K]> {
    if (this.closed) return Promise.reject(closedError());
    const call: Call = { id: 0, [operation]: request };
    if (isTooLarge(call))
      return Promise.reject(
        new CallError(status.INVALID_ARGUMENT, 'the call is larger than the store takes: split it'),
      );
    return new Promise((resolve, reject) => {
      const answered = (answer: Answer, log: string): void => {
        const { failure } = answer;
        const reply = answer[fieldOf(operation)] as Replies[K];
        if (failure !== undefined) reject(new CallError(failure.status, failure.message));
        else {
          reply.log = log;
          resolve(reply);
        }
      };
      // It travels in 32 bits.
      call.id = this.pending.add({ at: performance.now(), answered, failed: reject }) >>> 0;
      this.watch ??= setTimeout(() => this.look(), this.answerMs);
      this.outgoing.push(call);
      this.outbox.schedule();
    });
  }

  close(): void {
    this.closed = true;
    this.break(closedError());
  }

  private flush(): void {
    if (this.outgoing.length === 0) return;
    this.outlet ??= this.open();
    while (this.outgoing.length > 0 && !this.outbox.isBlocked)
      this.outbox.send(this.outlet, { calls: takeMessage(this.outgoing) });
  }

  private open(): Outlet<Calls> {
    const { path, requestSerialize, responseDeserialize } = keyValue['Session']!;
    const stream = this.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.metadata(),
    ) as Stream;
    stream.on('data', ({ answers, log }: Answers) => {
      for (const answer of answers) this.take(answer.id)?.answered(answer, log);
    });
    stream.on('error', ({ code, details }: ServiceError) => {
      // A replica that shuts down cancels its streams.
      const why = code === status.CANCELLED ? status.UNAVAILABLE : code;
      if (this.stream === stream) this.break(callError({ code: why, details }));
    });
    stream.on('end', () => {
      const error = new CallError(status.UNAVAILABLE, 'the replica ended the session');
      if (this.stream === stream) this.break(error);
    });
    this.stream = stream;
    return outletOf(stream);
  }

  /** The call of which these are the lower bits: so many are never under way at once. */
  private take(id: number): Pending | undefined {
    const { firstKey } = this.pending;
    if (firstKey === undefined) return undefined;
    const key = firstKey + ((id - firstKey) >>> 0);
    const pending = this.pending.get(key);
    this.pending.delete(key);
    return pending;
  }

  private look(): void {
    this.watch = undefined;
    const { firstKey } = this.pending;
    if (firstKey === undefined) return;
    const oldest = this.pending.get(firstKey)!;
    const left = oldest.at + this.answerMs - performance.now();
    if (left > 0) this.watch = setTimeout(() => this.look(), left);
    else this.break(new CallError(status.DEADLINE_EXCEEDED, `no answer in ${this.answerMs} ms`));
  }

  private break(error: CallError): void {
    const { stream } = this;
    this.stream = undefined;
    this.outlet = undefined;
    this.outbox.unblock();
    this.outgoing = [];
    clearTimeout(this.watch);
    this.watch = undefined;
    stream?.cancel();
    const failed = [...this.pending.values()];
    this.pending.clear();
    for (const it of failed) it.failed(error);
  }
}

function closedError(): CallError {
  return new CallError(status.CANCELLED, 'the client was closed');
}
