import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  type BidiMethod,
  brokenStream,
  type CallOptions,
  type Channel,
  type Codec,
  type MessageStream,
  onAbort,
  SequenceMap,
  type ServerStreamMethod,
  type UnaryMethod,
  VarlogError,
} from '../base/index.ts';
import { endClient } from './end-client.ts';
import { serializer, untouched } from './grpc-codec.ts';
import { fromStatus, isNoConnection } from './grpc-error.ts';
import { clientShortcut } from './grpc-shortcut.ts';
import { type GrpcCall, GrpcStream } from './grpc-stream.ts';

/** The header that names the cluster for which a call is meant. */
export const CLUSTER_HEADER = 'varlog-cluster';

/** Codec of the direction in which nothing is sent. */
const NOTHING: Codec<never> = {
  encode: () => new Uint8Array(0),
  decode: (): never => {
    throw new VarlogError('INTERNAL', { what: 'nothing is sent this way' });
  },
};

/** Something under way that can be ended from this side. */
interface Breakable {
  breakWith(reason: unknown): void;
}

/** A {@link Channel} over one connection of its own. `metadata` makes what goes with each call. */
export class GrpcChannel implements Channel {
  readonly address: string;
  private readonly connect: () => Client;
  private client: Client | undefined;
  private closed = false;
  private readonly underWay = new SequenceMap<Breakable>();
  private readonly metadata: () => Metadata;

  constructor(
    address: string,
    credentials: ChannelCredentials,
    options: ChannelOptions,
    metadata: () => Metadata,
  ) {
    this.address = address;
    this.metadata = metadata;
    this.connect = () => new Client(address, credentials, options);
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.closed || options.signal?.aborted) {
        reject(this.closed ? this.closedError() : options.signal?.reason);
        return;
      }
      const client = this.current();
      let broken = false;
      const self: Breakable = {
        breakWith: (reason) => {
          if (broken) return;
          broken = true;
          reject(reason);
          call.cancel();
        },
      };
      const forget = this.begin(self, options.signal);
      const call = client.makeUnaryRequest(
        method.path,
        serializer(method.request),
        untouched,
        request,
        this.metadata(),
        deadline(options),
        (failure, response) => {
          forget();
          if (failure !== null) reject(this.errorOf(client, failure));
          else settle(() => method.response.decode(response!), resolve, reject);
        },
      );
    });
  }

  subscribe<Request, Response>(
    method: ServerStreamMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): MessageStream<never, Response> {
    return this.stream(options, method.response, NOTHING, (client) =>
      client.makeServerStreamRequest(
        method.path,
        serializer(method.request),
        untouched,
        request,
        this.metadata(),
        deadline(options),
      ),
    );
  }

  open<Request, Response>(
    method: BidiMethod<Request, Response>,
    options: CallOptions = {},
  ): MessageStream<Request, Response> {
    return this.stream(options, method.response, method.request, (client) =>
      client.makeBidiStreamRequest(
        method.path,
        untouched,
        untouched,
        this.metadata(),
        deadline(options),
      ),
    );
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const error = this.closedError();
    for (const one of this.underWay.values()) one.breakWith(error);
    if (this.client !== undefined) endClient(this.client);
  }

  private stream<Out, In>(
    { signal }: CallOptions,
    incoming: Codec<In>,
    outgoing: Codec<Out>,
    start: (client: Client) => GrpcCall & { cancel(): void },
  ): MessageStream<Out, In> {
    if (this.closed) return brokenStream(this.closedError());
    if (signal?.aborted) return brokenStream(signal.reason);
    const client = this.current();
    const call = start(client);
    const stream = new GrpcStream<Out, In>(call, incoming, outgoing, {
      abort: () => call.cancel(),
      toError: (failure) => this.errorOf(client, failure as ServiceError),
      whenEnded: (proceed) => proceed(),
      overAtPeersEnd: true,
      shortcut: () => clientShortcut(call),
    });
    const forget = this.begin(stream, signal);
    stream.closed.then(forget, forget);
    return stream;
  }

  private current(): Client {
    this.client ??= this.connect();
    return this.client;
  }

  /** Remembers what is under way until the returned function is called. */
  private begin(one: Breakable, signal: AbortSignal | undefined): () => void {
    const key = this.underWay.add(one);
    const forget = onAbort(signal, () => one.breakWith(signal?.reason));
    return () => {
      this.underWay.delete(key);
      forget();
    };
  }

  /**
   * grpc-js answers from memory for a while after a connection was refused. The next call shall
   * really try: a node that came back is found at once.
   */
  private errorOf(client: Client, failure: ServiceError): VarlogError {
    if (this.client === client && isNoConnection(failure)) {
      this.client = undefined;
      endClient(client);
    }
    return fromStatus(this.address, failure);
  }

  private closedError(): VarlogError {
    return new VarlogError('CLOSED', { what: `the channel to ${this.address} was closed here` });
  }
}

/**
 * A longer limit is none: gRPC sends it in whole seconds, and servers keep it in 32 bits of milliseconds, where it would be
 * over at once.
 */
const LIMIT_MS_MAX = 2_147_483_000;

function deadline({ timeoutMs }: CallOptions): { deadline?: number } {
  return timeoutMs === undefined || timeoutMs > LIMIT_MS_MAX
    ? {}
    : { deadline: Date.now() + timeoutMs };
}

function settle<T>(
  make: () => T,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): void {
  let value: T;
  try {
    value = make();
  } catch (error) {
    reject(error);
    return;
  }
  resolve(value);
}
