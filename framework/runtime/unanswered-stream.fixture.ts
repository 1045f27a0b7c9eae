import { once } from 'node:events';
import { Client, credentials, type Metadata } from '@grpc/grpc-js';
import { type Codec, handler } from '../base/index.ts';
import { GrpcNetwork } from './grpc-network.ts';

const bytes: Codec<Uint8Array> = { encode: (it) => it, decode: (it) => it };
const hear = { kind: 'bidi', path: '/runtime.Test/Hear', request: bytes, response: bytes } as const;

/**
 * Tests that a client of grpc-js has headers of a stream on which it is never answered. It keeps each message that it
 * sends until then, and with it the whole buffer in which the message lies.
 */
export function streamsBeginWithHeaders(): void {
  test('a stream begins with headers, although nobody answers on it', async () => {
    const server = await new GrpcNetwork().serve('127.0.0.1:0', [
      handler(hear, (stream) => stream.closed),
    ]);
    const client = new Client(server.address, credentials.createInsecure());
    const asTheyAre = (it: Buffer): Buffer => it;
    const stream = client.makeBidiStreamRequest(hear.path, asTheyAre, asTheyAre);
    stream.on('error', () => {});
    const [metadata] = (await once(stream, 'metadata')) as [Metadata];
    expect(metadata.get('content-type')).toHaveLength(1);
    stream.cancel();
    client.close();
    await server.close();
  });
}
