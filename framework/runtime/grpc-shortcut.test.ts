import type { Http2Session } from 'node:http2';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { untouched } from './grpc-codec.ts';
import { clientShortcut } from './grpc-shortcut.ts';
import { WINDOW_BYTES, widenConnections, widenStreams } from './grpc-windows.ts';
import { StreamTaker } from './stream-taker.ts';

const path = '/runtime.Test/Talk';
const method = {
  path,
  requestStream: true as const,
  responseStream: true as const,
  requestSerialize: untouched,
  requestDeserialize: untouched,
  responseSerialize: untouched,
  responseDeserialize: untouched,
};

/** A stream that has brought one message each way. */
async function talking() {
  let session: Http2Session | undefined;
  const server = new Server();
  widenStreams(server);
  const Talk = (call: ServerDuplexStream<Buffer, Buffer>): void => {
    const inner = (call as unknown as { call: { stream: { session: Http2Session } } }).call;
    session = inner.stream.session;
    call.on('error', () => {});
    call.on('data', (it: Buffer) => call.write(it));
  };
  server.addService({ Talk: method }, { Talk });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  widenConnections(server);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.enable_retries': 0,
  });
  const call = client.makeBidiStreamRequest(path, untouched, untouched);
  call.on('error', () => {});
  const answered = new Promise((resolve) => call.once('data', resolve));
  const before = clientShortcut(call);
  call.write(Buffer.from('hello'));
  await answered;
  const close = (): void => {
    call.cancel();
    client.close();
    server.forceShutdown();
  };
  return { client: clientShortcut(call), before, session: session!, close };
}

test('there is a way past this version of grpc-js', async () => {
  const { client, before, close } = await talking();
  expect(before).toBeUndefined();
  expect(client?.isClear).toBe(true);
  close();
});

test('there is none past one of which nothing is known', () => {
  expect(clientShortcut({})).toBeUndefined();
  expect(clientShortcut({ call: { child: { http2Stream: {} } } })).toBeUndefined();
});

test('a server lets its clients send ahead', async () => {
  const { session, close } = await talking();
  expect(session.localSettings.initialWindowSize).toBe(WINDOW_BYTES);
  expect(session.state.effectiveLocalWindowSize).toBe(WINDOW_BYTES);
  close();
});

test('a server of which nothing is known keeps the windows of HTTP/2, and all of its streams', () => {
  const unknown = {} as Server;
  widenStreams(unknown);
  widenConnections(unknown);
  new StreamTaker(unknown, () => true).add([]);
  expect(unknown).toEqual({});
});
