import { type Codec, handler, type UnaryMethod } from '../base/index.ts';
import { Authority } from './certificates.fixture.ts';
import { GrpcNetwork } from './grpc-network.ts';
import { keepsContract } from './keeps-contract.fixture.ts';
import type { TlsOptions } from './tls.ts';

const bytes: Codec<Uint8Array> = { encode: (it) => it, decode: (it) => it };
const ask: UnaryMethod<Uint8Array, Uint8Array> = {
  kind: 'unary',
  path: '/runtime.Test/Ask',
  request: bytes,
  response: bytes,
};

/** What a client hears from a server. */
async function askOver(server: TlsOptions | undefined, client: TlsOptions | undefined) {
  const serving = await new GrpcNetwork({ tls: server }).serve('127.0.0.1:0', [
    handler(ask, async (it) => it),
  ]);
  const channel = new GrpcNetwork({ tls: client }).connect(serving.address);
  try {
    return Buffer.from(
      await channel.call(ask, Buffer.from('hello'), { timeoutMs: 1_000 }),
    ).toString();
  } catch (error) {
    return error;
  } finally {
    channel.close();
    await serving.close();
  }
}

describe('TLS', () => {
  const authority = new Authority('ours');
  const strangers = new Authority('theirs');
  const { ca } = authority;
  const node = { ca, ...authority.issue('IP:127.0.0.1') };
  const elsewhere = { ca, ...authority.issue('DNS:elsewhere') };
  const foreign = strangers.issue('IP:127.0.0.1');
  afterAll(() => {
    authority.remove();
    strangers.remove();
  });

  test.each<[string, TlsOptions | undefined, TlsOptions | undefined]>([
    ['two that hold certificates of one authority', node, node],
    [
      'a client without a certificate, where the server demands none',
      { ...node, mutual: false },
      { ca },
    ],
  ])('connects %s', async (_, server, client) => {
    expect(await askOver(server, client)).toBe('hello');
  });

  test.each<[string, TlsOptions | undefined, TlsOptions | undefined, RegExp]>([
    ['a client without a certificate', node, { ca }, /certificate required.*trusts/],
    ['a client of another authority', node, { ...node, ...foreign }, /nothing answers/],
    ['a server of another authority', { ...node, ...foreign }, node, /verify.*authority/],
    ['a server that is called by another name', elsewhere, node, /altnames.*address/],
    ['a client without TLS', node, undefined, /both sides use TLS, with certificates.*or none/],
    ['a server without TLS', undefined, node, /both sides use TLS/],
  ])('keeps out %s', async (_, server, client, why) => {
    const error = await askOver(server, client);
    expect(error).toMatchObject({ code: 'UNREACHABLE' });
    expect((error as Error).message).toMatch(why);
  });

  test.each<[string, TlsOptions]>([
    ['a certificate without its key', { ca, certificate: node.certificate }],
    ['a text that is no certificate', { ...node, certificate: 'hello' }],
    ['a text that is no authority', { ...node, ca: 'hello' }],
    ['half of an authority', { ...node, ca: ca.slice(0, ca.length / 2) }],
    ['an authority and half of another one', { ...node, ca: ca + ca.slice(0, ca.length / 2) }],
    ['the key of another certificate', { ...node, key: authority.issue('IP:127.0.0.1').key }],
  ])('refuses %s', (_, tls) => {
    expect(() => new GrpcNetwork({ tls })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  describe('keeps the contract of all networks', () => {
    keepsContract(() => new GrpcNetwork({ tls: node }));
  });

  test('refuses to serve without a certificate', async () => {
    const serving = new GrpcNetwork({ tls: { ca } }).serve('127.0.0.1:0', []);
    await expect(serving).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
