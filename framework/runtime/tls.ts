import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import { reasonOf, VarlogError } from '../base/index.ts';

/** Encryption and authentication of all connections; everything is PEM text. */
export interface TlsOptions {
  /** Whose certificates are trusted, of servers and of clients. */
  readonly ca: string;
  /** Own certificate with its chain. Who serves needs one, and who calls a server that demands one. */
  readonly certificate?: string;
  /** Private key of `certificate`. */
  readonly key?: string;
  /** Whether a server lets in only who shows a certificate of `ca` (mTLS). Default true. */
  readonly mutual?: boolean;
}

/** What a client shows and trusts. Throws `CONFIG_INVALID` for what is no certificate or key. */
export function clientCredentials(tls: TlsOptions | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  checkTls(tls);
  const { certificate, key } = pairOf(tls);
  return usable(() => credentials.createSsl(Buffer.from(tls.ca), key, certificate));
}

/** What a server shows and demands. Throws `CONFIG_INVALID`, also without a certificate and its key. */
export function serverCredentials(tls: TlsOptions | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  checkTls(tls);
  const { certificate, key } = pairOf(tls);
  if (certificate === null || key === null) {
    throw new VarlogError('CONFIG_INVALID', {
      what: 'a server with TLS needs a certificate and its private key',
      next: 'give both, as PEM',
    });
  }
  const pairs = [{ cert_chain: certificate, private_key: key }];
  return usable(() => ServerCredentials.createSsl(Buffer.from(tls.ca), pairs, tls.mutual ?? true));
}

/**
 * Throws `CONFIG_INVALID` for texts that TLS cannot use as a whole. Node.js itself passes over whatever of an authority it cannot
 * read: with half a file it would trust fewer than it was told, and with another file nobody.
 */
export function checkTls(tls: TlsOptions): void {
  const { certificate, key } = pairOf(tls);
  usable(() => {
    createSecureContext({ cert: certificate ?? undefined, key: key ?? undefined });
  });
  const blocks = tls.ca.split(/(?=-----BEGIN )/).filter((it) => it.includes('-----BEGIN '));
  try {
    if (blocks.length === 0) throw new Error('there is no certificate in it');
    for (const it of blocks) new X509Certificate(it);
  } catch (cause) {
    throw new VarlogError('CONFIG_INVALID', {
      what: 'the authority that TLS is to trust cannot be used',
      because: reasonOf(cause),
      next: 'give the certificates of all authorities as PEM text, whole and one after the other',
      cause,
    });
  }
}

function pairOf({ certificate, key }: TlsOptions): {
  certificate: Buffer | null;
  key: Buffer | null;
} {
  if ((certificate === undefined) !== (key === undefined)) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `TLS was given a ${key === undefined ? 'certificate without its private key' : 'private key without its certificate'}`,
      next: 'give both, or none at a client that need not show who it is',
    });
  }
  const bytes = (pem: string | undefined): Buffer | null =>
    pem === undefined ? null : Buffer.from(pem);
  return { certificate: bytes(certificate), key: bytes(key) };
}

function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new VarlogError('CONFIG_INVALID', {
      what: 'a certificate or key for TLS cannot be used',
      because: reasonOf(cause),
      next: 'give PEM texts, and the private key that belongs to the certificate',
      cause,
    });
  }
}
