import { type Codec, handler, type ServerStreamMethod } from '../base/index.ts';
import { GrpcNetwork } from './grpc-network.ts';
import { keepsContract } from './keeps-contract.fixture.ts';
import { streamsBeginWithHeaders } from './unanswered-stream.fixture.ts';

// As if the insides of grpc-js had changed.
jest.mock('./grpc-shortcut.ts', () => ({ clientShortcut: () => undefined }));
jest.mock('./stream-taker.ts', () => ({
  StreamTaker: class {
    add(): void {}
    remove(): void {}
  },
}));

describe('gRPC keeps the contract of all networks where there is no way past grpc-js', () => {
  keepsContract(() => new GrpcNetwork());
  streamsBeginWithHeaders();
});

describe('access tokens where there is no way past grpc-js', () => {
  const tokens = ['first-token-0123456789'];
  const bytes: Codec<Uint8Array> = { encode: (it) => it, decode: (it) => it };
  const watch: ServerStreamMethod<Uint8Array, Uint8Array> = {
    kind: 'serverStream',
    path: '/runtime.Test/Watch',
    request: bytes,
    response: bytes,
  };

  test('are asked for by streams too', async () => {
    const run = jest.fn(async () => {});
    const server = await new GrpcNetwork({ tokens }).serve('127.0.0.1:0', [handler(watch, run)]);
    const channel = new GrpcNetwork().connect(server.address);
    const refused = channel.subscribe(watch, Buffer.from('x'));
    await expect(refused.closed).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    channel.close();
    await server.close();
    expect(run).not.toHaveBeenCalled();
  });

  describe('leave the contract of all networks as it is', () => {
    keepsContract(() => new GrpcNetwork({ tokens }));
  });
});
