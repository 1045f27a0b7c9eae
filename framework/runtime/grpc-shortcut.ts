import type { Http2Stream } from 'node:http2';
import { PREFIX_BYTES } from './grpc-frames.ts';

/**
 * The way of a stream's messages past grpc-js: what it does with each of them costs several promises and many small
 * objects, far more than the connection itself. It still opens the stream, ends it, and says why it ended.
 */
export interface Shortcut {
  /** Whether nothing that was sent is on the usual way, as far as grpc-js knows. */
  readonly isClear: boolean;
  /** Sends messages, each with its prefix, in pieces. Nothing sent before MUST be on the usual way. */
  write(pieces: readonly Uint8Array[], written: () => void): void;
  /** Missing where messages come no other way. */
  readonly incoming?: IncomingShortcut;
}

export interface IncomingShortcut {
  /**
   * Has messages go to `deliver` from now on: some perhaps at once, and some still after {@link pause}. To be called when
   * the first message has just come.
   */
  divert(deliver: (message: Uint8Array) => void): void;
  pause(): void;
  resume(): void;
}

interface ClientCall {
  readonly http2Stream?: Http2Stream;
  readonly unpushedReadMessages?: Buffer[];
  tryPush?(framed: Buffer): void;
}

/** Of a call's layers, the one that could repeat messages: it holds all of them until they are written. */
interface RepeatingCall {
  readonly committedCallIndex: number | null;
  readonly underlyingCalls: readonly {
    readonly call: object;
    readonly nextMessageToSend: number;
  }[];
  getNextBufferIndex(): number;
}

/**
 * At the client, once the server has answered. grpc-js has no call for this: where its insides have changed there is no
 * shortcut, and messages go their usual way.
 */
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
    incoming: {
      divert: (deliver) => {
        inner.tryPush = (framed) => deliver(framed.subarray(PREFIX_BYTES));
        for (const framed of unpushedReadMessages.splice(0)) inner.tryPush(framed);
      },
      pause: () => stream.pause(),
      resume: () => stream.resume(),
    },
  };
}

/** In one write of the connection. */
export function writeAll(
  stream: Http2Stream,
  pieces: readonly Uint8Array[],
  written: () => void,
): void {
  // Mostly so, and cheaper.
  if (pieces.length === 1) {
    stream.write(pieces[0], () => written());
    return;
  }
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
