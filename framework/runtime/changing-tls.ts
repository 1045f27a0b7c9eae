import { type ChannelCredentials, experimental, type ServerCredentials } from '@grpc/grpc-js';
import { checkTls, serverCredentials, type TlsOptions } from './tls.ts';

type CertificateProvider = InstanceType<typeof experimental.FileWatcherCertificateProvider>;
type CaListener = Parameters<CertificateProvider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<CertificateProvider['addIdentityCertificateListener']>[0];

/**
 * TLS that may change while it is in use: new connections, to others and from them, are made with what there is then, and
 * those that there are go on. Whether a certificate is shown, and whether one is asked for, stays as it was.
 */
export class ChangingTls {
  private options: TlsOptions;
  private readonly authorityListeners = new Set<CaListener>();
  private readonly identityListeners = new Set<IdentityListener>();

  /** Throws `CONFIG_INVALID` for what TLS cannot use. */
  constructor(options: TlsOptions) {
    checkTls(options);
    this.options = options;
  }

  /** What there is now. */
  get current(): TlsOptions {
    return this.options;
  }

  /** Throws `CONFIG_INVALID` for what TLS cannot use, and goes on with what there was. */
  change(options: TlsOptions): void {
    checkTls(options);
    this.options = options;
    for (const it of this.authorityListeners) it(this.authority());
    for (const it of this.identityListeners) it(this.identity());
  }

  clientCredentials(): ChannelCredentials {
    const identity = this.options.certificate === undefined ? null : this.provider;
    return experimental.createCertificateProviderChannelCredentials(this.provider, identity);
  }

  /** Throws `CONFIG_INVALID` without a certificate. */
  serverCredentials(): ServerCredentials {
    serverCredentials(this.options);
    // Where none is demanded a certificate is asked for all the same, and whatever is shown lets in.
    const { mutual = true } = this.options;
    const { provider } = this;
    return experimental.createCertificateProviderServerCredentials(provider, provider, mutual);
  }

  // In the next turn: grpc-js does not hear what it is told while it asks.
  private readonly provider = {
    addCaCertificateListener: (listener: CaListener): void => {
      this.authorityListeners.add(listener);
      process.nextTick(() => listener(this.authority()));
    },
    removeCaCertificateListener: (listener: CaListener): void => {
      this.authorityListeners.delete(listener);
    },
    addIdentityCertificateListener: (listener: IdentityListener): void => {
      this.identityListeners.add(listener);
      process.nextTick(() => listener(this.identity()));
    },
    removeIdentityCertificateListener: (listener: IdentityListener): void => {
      this.identityListeners.delete(listener);
    },
  };

  private authority() {
    return { caCertificate: Buffer.from(this.options.ca) };
  }

  private identity() {
    const { certificate, key } = this.options;
    if (certificate === undefined || key === undefined) return null;
    return { certificate: Buffer.from(certificate), privateKey: Buffer.from(key) };
  }
}
