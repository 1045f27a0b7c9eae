import type { Http2Stream } from 'node:http2';
import { PREFIX_BYTES } from './grpc-frames.ts';

/**
 * The way of a stream's messages past grpc-js: what it does with each of them, at either end, costs several promises and
 * many small objects, far more than the connection itself. It still opens the stream, ends it, and says why it ended.
 * grpc-js has no call for this: where its insides have changed there is none, and messages go their usual way.
 */
export interface Shortcut {
  /** Whether nothing that was sent is on the usual way, as far as grpc-js knows. */
  readonly isClear: boolean;
  /** Sends messages, each with its prefix, in pieces. Nothing sent before MUST be on the usual way. */
  write(pieces: readonly Uint8Array[], written: () => void): void;
  /**
   * Has messages go to `deliver` from now on: some perhaps at once, and some still after {@link pause}. To be called before
   * the first message, or at a client when that has just come.
   */
  divert(deliver: (message: Uint8Array) => void): void;
  pause(): void;
  resume(): void;
}

interface ServerCall {
  readonly stream?: Http2Stream;
  readonly decoder?: { write(data: Buffer): Buffer[] };
  readonly incomingEncoding?: string;
  handleDataFrame?(data: Buffer): void;
  checkCancelled?(): boolean;
  maybeSendMetadata?(): void;
}

/** At the server, before anything was sent or received. Clients that compress have none. */
export function serverShortcut(call: object): Shortcut | undefined {
  const inner = (call as { call?: ServerCall }).call ?? {};
  const { stream, decoder, handleDataFrame } = inner;
  const used = [decoder?.write, handleDataFrame, inner.checkCancelled, inner.maybeSendMetadata];
  if (stream === undefined || used.some((it) => typeof it !== 'function')) return undefined;
  if (inner.incomingEncoding !== 'identity') return undefined;
  return {
    isClear: true,
    write: (pieces, written) => {
      if (inner.checkCancelled!()) return;
      inner.maybeSendMetadata!();
      writeAll(stream, pieces, written);
    },
    divert: (deliver) => {
      const decode = decoder!.write.bind(decoder);
      const handle = handleDataFrame!.bind(inner);
      let messages: Buffer[] = [];
      // grpc-js refuses what is too large, and finds nothing to do with the rest.
      decoder!.write = (data) => {
        messages = decode(data);
        return [];
      };
      inner.handleDataFrame = (data) => {
        messages = [];
        handle(data);
        for (const framed of messages) deliver(framed.subarray(PREFIX_BYTES));
      };
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
  };
}

interface ClientCall {
  readonly http2Stream?: Http2Stream;
  readonly unpushedReadMessages?: Buffer[];
  tryPush?(framed: Buffer): void;
}

/** Of a call's layers, the one that could repeat messages: it holds all of them until they are written. */
interface RepeatingCall {
  readonly committedCallIndex: number | null;
  readonly underlyingCalls: readonly { readonly call: object; readonly nextMessageToSend: number }[];
  getNextBufferIndex(): number;
}

/** At the client, once the server has answered. */
export function clientShortcut(call: object): Shortcut | undefined {
  const { repeating, inner } = layersOf(call);
  const { http2Stream: stream, unpushedReadMessages, tryPush } = inner ?? {};
  if (inner === undefined || stream === undefined || repeating === undefined) return undefined;
  if (unpushedReadMessages === undefined || tryPush === undefined) return undefined;
  return {
    get isClear() {
      const { committedCallIndex, underlyingCalls } = repeating;
      if (committedCallIndex === null) return false;
      const { nextMessageToSend } = underlyingCalls[committedCallIndex]!;
      return nextMessageToSend === repeating.getNextBufferIndex();
    },
    write: (pieces, written) => {
      if (!stream.destroyed && !stream.writableEnded) writeAll(stream, pieces, written);
    },
    divert: (deliver) => {
      inner.tryPush = (framed) => deliver(framed.subarray(PREFIX_BYTES));
      for (const framed of unpushedReadMessages.splice(0)) inner.tryPush(framed);
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
  };
}

/** In one write of the connection. */
function writeAll(stream: Http2Stream, pieces: readonly Uint8Array[], written: () => void): void {
  stream.cork();
  const last = pieces.length - 1;
  for (const [i, piece] of pieces.entries()) {
    if (i === last) stream.write(piece, () => written());
    else stream.write(piece);
  }
  stream.uncork();
}

/** Calls of grpc-js lie in each other: the innermost one has the stream. */
function layersOf(call: object): { repeating?: RepeatingCall; inner?: ClientCall } {
  type Layer = ClientCall & Partial<RepeatingCall> & { call?: Layer | null; child?: Layer | null };
  let repeating: RepeatingCall | undefined;
  let layer: Layer | null | undefined = call as Layer;
  for (let depth = 0; depth < 8 && layer; depth++) {
    if (layer.http2Stream !== undefined) return { repeating: repeating!, inner: layer };
    if (layer.underlyingCalls !== undefined) {
      if (typeof layer.getNextBufferIndex !== 'function') return {};
      repeating = layer as RepeatingCall;
      layer = layer.underlyingCalls[layer.committedCallIndex ?? 0]?.call;
    } else layer = layer.child ?? layer.call;
  }
  return {};
}
