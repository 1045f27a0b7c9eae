import { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** What others look at when they are shown a certificate. */
export interface CertificateFacts {
  /** Milliseconds since 1970 between which it is valid. */
  readonly from: number;
  readonly to: number;
  /** Why whoever dials `host` does not take it for the certificate of that; `undefined`: it does. */
  refusalAt(host: string): string | undefined;
}

/** The facts of the first certificate in a PEM text. Throws where there is none. */
export function certificateFacts(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem);
  return {
    from: Date.parse(certificate.validFrom),
    to: Date.parse(certificate.validTo),
    refusalAt: (host) =>
      checkServerIdentity(host, certificate.toLegacyObject() as PeerCertificate)?.message,
  };
}
