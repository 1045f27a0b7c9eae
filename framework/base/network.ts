/** Turns messages of one kind into bytes and back. `decode` throws on bytes that are no such message. */
export interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
  /**
   * Where there is a way without copying what is large: what `encode` returns, in pieces that follow each other. Some of
   * them are the message's own, which has to be left as it is until it was sent.
   */
  encodeParts?(message: T): readonly Uint8Array[];
  /** For messages of which so many are sent that a buffer for each would cost more than all else. */
  readonly inPlace?: InPlaceEncoder<T> | undefined;
}

/** Encodes right into the buffer that is sent. What it writes MUST decode to the same message. */
export interface InPlaceEncoder<T> {
  /** Bytes that the message takes. */
  size(message: T): number;
  /** Writes that many at `at`. */
  write(message: T, target: Uint8Array, at: number): void;
}

interface MethodShape<Request, Response> {
  /** As gRPC writes it: `/package.Service/Method`. */
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

/** One request, one response. */
export interface UnaryMethod<Request, Response> extends MethodShape<Request, Response> {
  readonly kind: 'unary';
}
/** One request, a stream of responses. */
export interface ServerStreamMethod<Request, Response> extends MethodShape<Request, Response> {
  readonly kind: 'serverStream';
}
/** A stream either way. */
export interface BidiMethod<Request, Response> extends MethodShape<Request, Response> {
  readonly kind: 'bidi';
}

/**
 * One end of a stream of messages. Messages arrive in the order in which they were sent, each once,
 * until the stream breaks; then the rest are lost and `closed` rejects on both ends.
 */
export interface MessageStream<Out, In> {
  /**
   * Sends a message. It is never refused; `false` asks the sender to stop and to wait for
   * `writable()`, because the peer or the connection is slower.
   */
  send(message: Out): boolean;
  /** Resolves as soon as there is room again; rejects like `closed` when the stream breaks. */
  writable(): Promise<void>;
  /**
   * Takes the messages, one after the other. While a returned promise is pending no further message
   * is delivered, and the peer is slowed down in the end. To be called once, right when the stream
   * is made.
   */
  receive(handler: (message: In) => void | Promise<void>): void;
  /** Says that nothing more will be sent from this end. */
  end(): void;
  /** Breaks the stream at once, in both directions. The peer sees `CANCELLED`. */
  cancel(): void;
  /**
   * Settles once: resolves when the peer has ended its side and all of it was delivered, rejects
   * with a `VarlogError` when the stream broke. Ignoring it is allowed.
   */
  readonly closed: Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** After this many milliseconds the call fails with `TIMEOUT`. Default: no limit. */
  timeoutMs?: number;
}

/** A connection to one address. Connects automatically when needed, again and again. */
export interface Channel {
  readonly address: string;
  /**
   * Rejects with the `VarlogError` that the handler threw, or `UNREACHABLE` (the request was never
   * sent), `UNAVAILABLE` (the connection broke: the request may have been handled), `TIMEOUT`,
   * `UNIMPLEMENTED`, or `signal.reason`.
   */
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>;
  subscribe<Request, Response>(
    method: ServerStreamMethod<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): MessageStream<never, Response>;
  open<Request, Response>(
    method: BidiMethod<Request, Response>,
    options?: CallOptions,
  ): MessageStream<Request, Response>;
  close(): void;
}

export interface CallContext {
  /** Aborted when the caller cancelled, its deadline passed or the connection broke. */
  readonly signal: AbortSignal;
  /** Where the call comes from, for messages to people. */
  readonly peer: string;
  /** Which cluster the caller takes this one for; `undefined` when it does not say. */
  readonly cluster: string | undefined;
}

/** A method with the code that answers it. Made by {@link handler}. */
export interface Handler {
  readonly method: MethodShape<unknown, unknown> & { kind: 'unary' | 'serverStream' | 'bidi' };
  readonly run: (input: never, second: never, third?: never) => unknown;
}

type Unary<Request, Response> = (request: Request, context: CallContext) => Promise<Response>;
type ServerStream<Request, Response> = (
  request: Request,
  stream: MessageStream<Response, never>,
  context: CallContext,
) => Promise<void>;
type Bidi<Request, Response> = (
  stream: MessageStream<Response, Request>,
  context: CallContext,
) => Promise<void>;

/**
 * Binds a method to its implementation. A stream stays open until the returned promise settles:
 * then it ends, or breaks with the error. A bidi handler must call `stream.receive` before it first
 * awaits.
 */
export function handler<Request, Response>(
  method: UnaryMethod<Request, Response>,
  run: Unary<Request, Response>,
): Handler;
export function handler<Request, Response>(
  method: ServerStreamMethod<Request, Response>,
  run: ServerStream<Request, Response>,
): Handler;
export function handler<Request, Response>(
  method: BidiMethod<Request, Response>,
  run: Bidi<Request, Response>,
): Handler;
export function handler(method: unknown, run: unknown): Handler {
  return { method, run } as Handler;
}

export interface Server {
  /** The address that was bound: with the real port where port 0 was asked for. */
  readonly address: string;
  /** Answers these methods too from now on. */
  add(handlers: readonly Handler[]): void;
  /** Answers these methods no more; calls that are under way go on. */
  remove(handlers: readonly Handler[]): void;
  /** Ends all calls and lets go of the address. */
  close(): Promise<void>;
}

export interface DialOptions {
  /** Said with each call, as of then: the cluster that the callee must belong to. */
  cluster?: () => string | undefined;
}

export interface Network {
  /** `host:port`. Rejects with `ADDRESS_IN_USE` or `INVALID_ARGUMENT`. */
  serve(address: string, handlers: readonly Handler[]): Promise<Server>;
  /** Does no work yet: an address where nothing listens shows at the first call. */
  connect(address: string, options?: DialOptions): Channel;
}
