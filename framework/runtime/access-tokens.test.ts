import { inspect } from 'node:util';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  type BidiMethod,
  type Channel,
  type Codec,
  handler,
  type Server,
  type ServerStreamMethod,
  type UnaryMethod,
} from '../base/index.ts';
import { Authority } from './certificates.fixture.ts';
import { untouched } from './grpc-codec.ts';
import { GrpcNetwork, type GrpcNetworkOptions } from './grpc-network.ts';
import { healthCheck, healthWatch } from './health.ts';
import { keepsContract } from './keeps-contract.fixture.ts';

const FIRST = 'first-token-0123456789';
const SECOND = 'second-token-0123456789';
const OTHER = 'other-token-0123456789';

let handled: string[] = [];
/** Of what reached a server. */
const bytes: Codec<string> = {
  encode: (it) => Buffer.from(it),
  decode: (it) => Buffer.from(it).toString(),
};
const seen: Codec<string> = {
  ...bytes,
  decode: (it) => {
    handled.push(`decoded ${bytes.decode(it)}`);
    return bytes.decode(it);
  },
};
const shape = { request: seen, response: bytes };
const ask: UnaryMethod<string, string> = { kind: 'unary', path: '/runtime.Test/Ask', ...shape };
const watch: ServerStreamMethod<string, string> = {
  kind: 'serverStream',
  path: '/runtime.Test/Watch',
  ...shape,
};
const talk: BidiMethod<string, string> = { kind: 'bidi', path: '/runtime.Test/Talk', ...shape };

const handlers = [
  handler(ask, async (it) => {
    handled.push('ask');
    return it;
  }),
  handler(watch, async (it, stream) => {
    handled.push('watch');
    stream.send(it);
  }),
  handler(talk, async (stream) => {
    handled.push('talk');
    stream.receive((it) => void stream.send(it));
    await stream.closed;
  }),
];

const ways: Record<string, (channel: Channel) => Promise<string>> = {
  'a call': (channel) => channel.call(ask, 'hello', { timeoutMs: 5_000 }),
  'a stream of answers': (channel) => all(channel.subscribe(watch, 'hello')),
  'a stream either way': (channel) => {
    const stream = channel.open(talk);
    const heard = all(stream);
    stream.send('hello');
    stream.end();
    return heard;
  },
};

async function all(stream: ReturnType<Channel['subscribe']>): Promise<string> {
  const heard: unknown[] = [];
  stream.receive((it) => void heard.push(it));
  await stream.closed;
  return heard.join();
}

async function serving<T>(
  options: GrpcNetworkOptions,
  work: (server: Server) => Promise<T>,
): Promise<T> {
  const server = await new GrpcNetwork(options).serve('127.0.0.1:0', handlers);
  try {
    return await work(server);
  } finally {
    await server.close();
  }
}

/** What a client hears. */
async function heardBy(
  client: GrpcNetworkOptions,
  address: string,
  way: (channel: Channel) => Promise<string>,
): Promise<unknown> {
  const channel = new GrpcNetwork(client).connect(address);
  try {
    return await way(channel);
  } catch (error) {
    return error;
  } finally {
    channel.close();
  }
}

beforeEach(() => {
  handled = [];
});

describe.each(Object.entries(ways))('with access tokens, %s', (_, way) => {
  const tokens = [FIRST, SECOND];

  test.each([FIRST, SECOND])('is let in with %s', async (token) => {
    await serving({ tokens }, async ({ address }) => {
      expect(await heardBy({ tokens: [token] }, address, way)).toBe('hello');
    });
  });

  test('shows the first of the tokens that its own process has', async () => {
    await serving({ tokens: [FIRST] }, async ({ address }) => {
      expect(await heardBy({ tokens: [FIRST, OTHER] }, address, way)).toBe('hello');
      const other = await heardBy({ tokens: [OTHER, FIRST] }, address, way);
      expect(other).toMatchObject({ code: 'UNAUTHENTICATED' });
    });
  });

  test('is refused without one, and with another one, before anything is read', async () => {
    await serving({ tokens }, async ({ address }) => {
      for (const [client, because] of [
        [{}, 'no access token'],
        [{ tokens: [OTHER] }, 'none that the server knows'],
        [{ tokens: [`${FIRST}x`] }, 'none that the server knows'],
        [{ tokens: [FIRST.slice(0, -1)] }, 'none that the server knows'],
      ] as const) {
        const error = await heardBy(client, address, way);
        expect(error).toMatchObject({
          code: 'UNAUTHENTICATED',
          retryable: false,
          outcome: 'notAppended',
          message: expect.stringMatching(`${address}.*${because}.*--token-file`),
        });
        expect(inspect(error, { depth: 9 })).not.toContain(client.tokens?.[0] ?? FIRST);
      }
      expect(handled).toEqual([]);
    });
  });

  test('is let in with one that a server does not ask for', async () => {
    await serving({}, async ({ address }) => {
      expect(await heardBy({ tokens: [OTHER] }, address, way)).toBe('hello');
    });
  });
});

describe('access tokens', () => {
  test('are asked for over TLS too', async () => {
    const authority = new Authority('ours');
    const tls = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
    authority.remove();
    await serving({ tls, tokens: [FIRST] }, async ({ address }) => {
      expect(await heardBy({ tls, tokens: [FIRST] }, address, ways['a call']!)).toBe('hello');
      const error = await heardBy({ tls }, address, ways['a call']!);
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    });
  });

  test('are not asked for by the health service', async () => {
    await serving({ tokens: [FIRST] }, async ({ address }) => {
      const channel = new GrpcNetwork().connect(address);
      expect(await channel.call(healthCheck, '')).toBe(1);
      const watching = channel.subscribe(healthWatch, '');
      await new Promise((resolve) => watching.receive(resolve));
      channel.close();
    });
  });

  test.each<[string, status]>([
    [`Bearer ${FIRST}`, status.OK],
    [`bearer  ${FIRST}`, status.OK],
    [FIRST, status.UNAUTHENTICATED],
    [`Basic ${FIRST}`, status.UNAUTHENTICATED],
    [`Bearer ${FIRST} ${FIRST}`, status.UNAUTHENTICATED],
    [`Bearer ${OTHER}, Bearer ${FIRST}`, status.UNAUTHENTICATED],
    ['Bearer ', status.UNAUTHENTICATED],
  ])('are looked for in metadata: %p', async (authorization, expected) => {
    await serving({ tokens: [FIRST] }, async ({ address }) => {
      const client = new Client(address, credentials.createInsecure());
      const metadata = new Metadata();
      metadata.set('authorization', authorization);
      const code = await new Promise((resolve) =>
        client.makeUnaryRequest(
          ask.path,
          untouched,
          untouched,
          Buffer.from('x'),
          metadata,
          (error: ServiceError | null) => resolve(error?.code ?? status.OK),
        ),
      );
      client.close();
      expect(code).toBe(expected);
    });
  });

  test.each<[string, string[], RegExp]>([
    ['none at all', [], /list of access tokens is empty/],
    ['one that is short', [FIRST, 'only-15-letters'], /access token 2 has 15 characters/],
    ['a space in one', ['has a space in it'], /access token 1 has a character/],
    ['a line end in one', [`${FIRST}\n`], /access token 1 has a character/],
    ['letters that are not of ASCII', [`${FIRST}é`], /access token 1 has a character/],
  ])('are refused where there is %s', (_, tokens, message) => {
    let thrown: unknown;
    try {
      new GrpcNetwork({ tokens });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
    for (const it of tokens) expect(inspect(thrown, { depth: 9 })).not.toContain(it);
  });

  test('are not shown by what holds them', async () => {
    const network = new GrpcNetwork({ tokens: [FIRST] });
    const server = await network.serve('127.0.0.1:0', []);
    const channel = network.connect(server.address);
    for (const it of [network, server, channel])
      expect(inspect(it, { depth: 9, showHidden: true })).not.toContain(FIRST);
    channel.close();
    await server.close();
  });

  test('are warned of where others could read them on their way', async () => {
    const authority = new Authority('ours');
    const tls = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
    authority.remove();
    const warned = async (address: string, options: GrpcNetworkOptions): Promise<string[]> => {
      const lines: string[] = [];
      const logger = { log: (_: unknown, event: string) => void lines.push(event) };
      const server = await new GrpcNetwork({ ...options, logger }).serve(address, []);
      await server.close();
      return lines;
    };
    const tokens = [FIRST];
    expect(await warned('0.0.0.0:0', { tokens })).toEqual([
      expect.stringMatching(/0\.0\.0\.0:0 without TLS/),
    ]);
    expect(await warned('0.0.0.0:0', { tokens, tls })).toEqual([]);
    expect(await warned('0.0.0.0:0', {})).toEqual([]);
    for (const it of ['127.0.0.1:0', 'localhost:0', '[::1]:0'])
      expect(await warned(it, { tokens })).toEqual([]);
  });

  describe('leave the contract of all networks as it is', () => {
    keepsContract(() => new GrpcNetwork({ tokens: [FIRST] }));
  });
});
