import { once } from 'node:events';
import { createServer, connect as dial } from 'node:net';
import {
  type BidiMethod,
  type Channel,
  type Codec,
  handler,
  MESSAGE_BYTES_MAX,
  type Server,
  type UnaryMethod,
  VarlogError,
} from '../base/index.ts';
import { GrpcNetwork } from './grpc-network.ts';
import { healthCheck, healthWatch } from './health.ts';
import { keepsContract } from './keeps-contract.fixture.ts';
import { streamsBeginWithHeaders } from './unanswered-stream.fixture.ts';

describe('gRPC keeps the contract of all networks', () => {
  keepsContract(() => new GrpcNetwork());
  streamsBeginWithHeaders();
});

describe('gRPC', () => {
  const bytes: Codec<Uint8Array> = { encode: (it) => it, decode: (it) => it };
  const shape = { request: bytes, response: bytes };
  const ask: UnaryMethod<Uint8Array, Uint8Array> = {
    kind: 'unary',
    path: '/runtime.Test/Ask',
    ...shape,
  };
  const talk: BidiMethod<Uint8Array, Uint8Array> = {
    kind: 'bidi',
    path: '/runtime.Test/Talk',
    ...shape,
  };
  let server: Server;
  let channel: Channel;
  beforeEach(async () => {
    const network = new GrpcNetwork();
    server = await network.serve('127.0.0.1:0', [
      handler(ask, async (it) => it),
      handler(talk, (stream) => {
        stream.receive((message) => {
          stream.send(message);
        });
        return stream.closed;
      }),
    ]);
    channel = network.connect(server.address);
  });
  afterEach(async () => {
    channel.close();
    await server.close();
  });

  test('messages of megabytes pass, larger ones than the limit are RESOURCE_EXHAUSTED', async () => {
    const large = new Uint8Array(MESSAGE_BYTES_MAX - 1024);
    expect((await channel.call(ask, large)).length).toBe(large.length);
    const tooLarge = new Uint8Array(MESSAGE_BYTES_MAX + 1);
    await expect(channel.call(ask, tooLarge)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    const stream = channel.open(talk);
    stream.receive(() => {});
    stream.send(tooLarge);
    await expect(stream.closed).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  test('an empty message is one', async () => {
    expect((await channel.call(ask, new Uint8Array())).length).toBe(0);
  });

  test('answers the health check of gRPC for the process', async () => {
    expect(await channel.call(healthCheck, '')).toBe(1);
    await expect(channel.call(healthCheck, 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const watch = channel.subscribe(healthWatch, '');
    const first = await new Promise((resolve) => watch.receive(resolve));
    expect(first).toBe(1);
    watch.cancel();
  });

  test('each channel has a connection of its own', async () => {
    const network = new GrpcNetwork();
    const peers = await network.serve('127.0.0.1:0', [
      handler(ask, async (_, { peer }) => new TextEncoder().encode(peer)),
    ]);
    const channels = [network.connect(peers.address), network.connect(peers.address)];
    const seen = new Set<string>();
    for (let i = 0; i < 4; i++) {
      seen.add(new TextDecoder().decode(await channels[i % 2]!.call(ask, new Uint8Array(1))));
    }
    expect([...seen]).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    ]);
    for (const one of channels) one.close();
    await peers.close();
  });

  test('who was refused and leaves makes no connection once there is somebody', async () => {
    const network = new GrpcNetwork();
    const gone = await network.serve('127.0.0.1:0', []);
    await gone.close();
    const refused = Array.from({ length: 8 }, () => network.connect(gone.address));
    for (const it of refused) {
      await expect(it.call(ask, new Uint8Array())).rejects.toMatchObject({ code: 'UNREACHABLE' });
      it.close();
    }
    const peer = createServer();
    await new Promise<void>((resolve) => {
      peer.listen(Number(gone.address.split(':')[1]), '127.0.0.1', resolve);
    });
    // Those that try again do so within a tenth of a second.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const connections = await new Promise((resolve) => {
      peer.getConnections((_, count) => resolve(count));
    });
    expect(connections).toBe(0);
    await new Promise((resolve) => peer.close(resolve));
  });

  test('a handler that says UNREACHABLE of somebody else costs its caller no connection', async () => {
    const network = new GrpcNetwork();
    const peers = await network.serve('127.0.0.1:0', [
      handler(ask, async (request, { peer }) => {
        if (request.length > 1)
          throw new VarlogError('UNREACHABLE', { what: 'the leader is gone' });
        return new TextEncoder().encode(peer);
      }),
    ]);
    const one = network.connect(peers.address);
    const before = await one.call(ask, new Uint8Array(1));
    await expect(one.call(ask, new Uint8Array(2))).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(await one.call(ask, new Uint8Array(1))).toEqual(before);
    one.close();
    await peers.close();
  });

  test('calls and streams with one signal are one listener of it, however many there were', async () => {
    const controller = new AbortController();
    const add = jest.spyOn(controller.signal, 'addEventListener');
    for (let i = 0; i < 20; i++) {
      await channel.call(ask, new Uint8Array(1), { signal: controller.signal });
      const stream = channel.open(talk, { signal: controller.signal });
      stream.receive(() => {});
      stream.end();
      await stream.closed;
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(add).toHaveBeenCalledTimes(1);
  });

  test('a server stream that its reader does not read can be cut all the same', async () => {
    const network = new GrpcNetwork();
    let cut: (() => void) | undefined;
    const stuck = await network.serve('127.0.0.1:0', [
      handler(talk, async (stream) => {
        stream.receive(() => {});
        // More than both ends and the connection hold.
        for (let i = 0; i < 200; i++) stream.send(new Uint8Array(100_000));
        cut = () => stream.cancel();
        await stream.closed;
      }),
    ]);
    const reader = network.connect(stuck.address);
    const stream = reader.open(talk);
    const opened = new Promise<void>((resolve) => {
      stream.receive(() => {
        resolve();
        return new Promise(() => {});
      });
    });
    await opened;
    cut!();
    await expect(stream.closed).rejects.toMatchObject({ code: 'CANCELLED' });
    reader.close();
    await stuck.close();
  });

  test.each([
    ['said nothing', ''],
    ['spoke HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'],
  ])('a server ends though a peer that %s closes nothing', async (_, said) => {
    const ending = await new GrpcNetwork().serve('127.0.0.1:0', []);
    const [host, port] = ending.address.split(':');
    // As a process that stands still: its machine takes what comes, and it never answers.
    const peer = dial({ host, port: Number(port), allowHalfOpen: true });
    peer.on('error', () => {});
    await once(peer, 'connect');
    if (said !== '') {
      peer.write(said);
      await once(peer, 'data');
    }
    await ending.close();
    peer.destroy();
  });
});
