import { type ClientHttp2Session, connect } from 'node:http2';
import { type Codec, handler, type Server } from '../base/index.ts';
import { GrpcNetwork } from './grpc-network.ts';

const bytes: Codec<Uint8Array> = { encode: (it) => it, decode: (it) => it };
const shape = { request: bytes, response: bytes };
const LIST = { kind: 'serverStream', path: '/runtime.Test/List', ...shape } as const;
const TALK = { kind: 'bidi', path: '/runtime.Test/Talk', ...shape } as const;

let server: Server;
let session: ClientHttp2Session;
beforeAll(async () => {
  server = await new GrpcNetwork().serve('127.0.0.1:0', [
    handler(LIST, (request, stream) => {
      stream.send(request);
      return new Promise<void>(() => {});
    }),
    handler(TALK, (stream) => {
      stream.receive((message) => {
        stream.send(message);
      });
      return stream.closed;
    }),
  ]);
  session = connect(`http://${server.address}`);
});
afterAll(async () => {
  session.destroy();
  await server.close();
});

/** A message with its prefix: not compressed, and its length. */
function frame(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

/** A call as bytes on HTTP/2; resolves with its status once the server has ended it. */
function call(
  path: string,
  sent: readonly Uint8Array[],
  headers: Record<string, string> = {},
): Promise<{ status: string; message: string }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const ended = (of: Record<string, unknown>): void => {
      if (of['grpc-status'] === undefined) return;
      resolve({ status: String(of['grpc-status']), message: String(of['grpc-message'] ?? '') });
    };
    stream.on('response', ended);
    stream.on('trailers', ended);
    stream.on('error', reject);
    stream.resume();
    for (const it of sent) stream.write(it);
    stream.end();
  });
}

const [OK, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED] = ['0', '13', '4', '8', '12'];

test('a deadline that is none is refused, in the words of gRPC', async () => {
  for (const timeout of ['1', 'S', '123456789S', '1x', '-1S']) {
    const { status, message } = await call(TALK.path, [], { 'grpc-timeout': timeout });
    expect([status, decodeURI(message)]).toEqual([
      INVALID,
      `Invalid grpc-timeout value "${timeout}"`,
    ]);
  }
});

test('a deadline ends a call that goes on, whatever its unit', async () => {
  for (const timeout of ['50m', '50000u', '1n', '50000000n']) {
    const { status } = await call(LIST.path, [frame('x')], { 'grpc-timeout': timeout });
    expect(status).toBe(DEADLINE);
  }
  // One that is further away than a timer can wait is no deadline of now.
  expect(await call(TALK.path, [frame('x')], { 'grpc-timeout': '99999999H' })).toMatchObject({
    status: OK,
  });
});

test('a call that asks once is refused without a request, and with two', async () => {
  expect((await call(LIST.path, [])).status).toBe(UNIMPLEMENTED);
  expect((await call(LIST.path, [frame('a'), frame('b')])).status).toBe(UNIMPLEMENTED);
});

test('a call whose last message breaks off is refused, and what came whole is answered before', async () => {
  for (const rest of [frame('torn').subarray(0, 7), frame('torn').subarray(0, 3)]) {
    const { status, message } = await call(TALK.path, [frame('whole'), rest]);
    expect([status, decodeURI(message)]).toEqual([
      INVALID,
      expect.stringContaining('in the middle'),
    ]);
    expect(await call(LIST.path, [rest])).toMatchObject({ status: INVALID });
  }
});

test('a message that claims to be larger than all may be is refused before it has come', async () => {
  const prefix = Buffer.of(0, 0x7f, 0xff, 0xff, 0xff);
  expect((await call(TALK.path, [prefix, Buffer.alloc(100)])).status).toBe(EXHAUSTED);
  // Nobody else has noticed.
  expect(await call(TALK.path, [frame('x')])).toEqual({ status: OK, message: '' });
});
