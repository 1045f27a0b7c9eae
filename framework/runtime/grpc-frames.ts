import type { ServerWritableStream } from '@grpc/grpc-js';

/** Messages are joined up to about so many bytes. One write of HTTP/2 costs as much as many small messages. */
const JOINED_BYTES = 64 * 1024;
/** What gRPC puts before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** Encoded messages that will leave in one write, each with its prefix. */
export class GrpcFrames {
  private messages: Buffer[] = [];
  private size = 0;

  /** Bytes of the messages that were added, without prefixes. */
  get bytes(): number {
    return this.size - this.messages.length * PREFIX_BYTES;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  get isFull(): boolean {
    return this.size >= JOINED_BYTES;
  }

  add(message: Buffer): void {
    this.messages.push(message);
    this.size += PREFIX_BYTES + message.length;
  }

  /** All that were added, as they go over the connection; none are left. */
  take(): Buffer {
    const joined = Buffer.allocUnsafe(this.size);
    let at = 0;
    for (const message of this.messages) {
      joined[at] = 0;
      joined.writeUInt32BE(message.length, at + 1);
      joined.set(message, at + PREFIX_BYTES);
      at += PREFIX_BYTES + message.length;
    }
    this.messages = [];
    this.size = 0;
    return joined;
  }
}

/**
 * From now on what is written to the call are {@link GrpcFrames}, not messages. grpc-js has no call for this: false
 * where its insides have changed, and messages are to be written one by one.
 */
export function takesFrames(call: ServerWritableStream<unknown, unknown>): boolean {
  const { call: inner } = call as unknown as {
    call?: { serializeMessage?: (message: Buffer) => Buffer };
  };
  if (typeof inner?.serializeMessage !== 'function') return false;
  inner.serializeMessage = (frames) => frames;
  return true;
}
