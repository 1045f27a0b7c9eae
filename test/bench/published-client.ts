import { type ClientHttp2Session, connect } from 'node:http2';
import protobuf from 'protobufjs';

/** As much of the published interface as an append and a subscription need. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message AppendRequest { int32 topic_id = 1; int32 log_stream_id = 2; repeated bytes payload = 3; }
  message SubscribeRequest {
    uint64 glsn_begin = 1; uint64 glsn_end = 2; int32 topic_id = 3; int32 log_stream_id = 4;
  }
`);
root.resolveAll();

const PREFIX_BYTES = 5;
const HEADERS = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

function framed(type: string, message: object): Buffer {
  const bytes = root.lookupType(type).encode(message).finish();
  const frame = Buffer.alloc(PREFIX_BYTES + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, PREFIX_BYTES);
  return frame;
}

/**
 * A client of the published interface, right on HTTP/2: on a machine that it shares with the servers, one on a gRPC
 * library would be what is measured.
 */
export class PublishedClient implements Disposable {
  private readonly session: ClientHttp2Session;

  constructor(address: string) {
    this.session = connect(`http://${address}`);
  }

  /** Makes appends of this payload, each a call of its own, as the Go client does it. */
  appender(topicId: number, logStreamId: number, payload: Uint8Array): () => Promise<void> {
    const request = framed('AppendRequest', { topicId, logStreamId, payload: [payload] });
    return () =>
      new Promise((resolve, reject) => {
        const stream = this.session.request({ ...HEADERS, ':path': '/varlog.snpb.LogIO/Append' });
        stream.on('error', reject);
        stream.on('trailers', (it) => {
          if (it['grpc-status'] !== '0') reject(new Error(String(it['grpc-message'])));
        });
        stream.on('data', () => {});
        stream.on('end', resolve);
        stream.end(request);
      });
  }

  /** Reads the records with these GLSNs. Resolves with how many came. */
  subscribe(
    topicId: number,
    logStreamId: number,
    glsnBegin: number,
    glsnEnd: number,
  ): Promise<number> {
    const request = framed('SubscribeRequest', { topicId, logStreamId, glsnBegin, glsnEnd });
    return new Promise((resolve, reject) => {
      const stream = this.session.request({ ...HEADERS, ':path': '/varlog.snpb.LogIO/Subscribe' });
      const counter = new MessageCounter();
      stream.on('error', reject);
      stream.on('data', (chunk: Buffer) => counter.take(chunk));
      stream.on('end', () => resolve(counter.count));
      stream.end(request);
    });
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }
}

/** Counts messages by their prefixes. */
class MessageCounter {
  count = 0;
  private rest: Buffer = Buffer.alloc(0);
  /** Bytes of the message that is under way and did not come yet. */
  private due = 0;

  take(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = this.due;
    while (at + PREFIX_BYTES <= bytes.length) {
      this.count++;
      at += PREFIX_BYTES + bytes.readUInt32BE(at + 1);
    }
    this.rest = at < bytes.length ? bytes.subarray(at) : Buffer.alloc(0);
    this.due = Math.max(0, at - bytes.length);
  }
}
