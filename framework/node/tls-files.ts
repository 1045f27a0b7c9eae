import { readFileSync } from 'node:fs';
import { reasonOf, VarlogError } from '../base/index.ts';
import type { TlsOptions } from '../runtime/index.ts';

/** Where the PEM files of TLS lie. */
export interface TlsFiles {
  readonly tlsCa?: string | undefined;
  readonly tlsCertificate?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsMutual?: boolean | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined where no file is named: no TLS. Throws `CONFIG_INVALID` for files that cannot be read. */
export function tlsFromFiles(files: TlsFiles): TlsOptions | undefined {
  const { tlsCa, tlsCertificate, tlsKey, tlsMutual } = files;
  if (tlsCa === undefined) {
    if (tlsCertificate === undefined && tlsKey === undefined) return undefined;
    throw new VarlogError('CONFIG_INVALID', {
      what: 'TLS was given a certificate or a key, and no authority to trust',
      next: 'name the file of the authority too (tlsCa, --tls-ca, VARLOG_TLS_CA)',
    });
  }
  return {
    ca: read(tlsCa),
    ...(tlsCertificate === undefined ? {} : { certificate: read(tlsCertificate) }),
    ...(tlsKey === undefined ? {} : { key: read(tlsKey) }),
    ...(tlsMutual === undefined ? {} : { mutual: tlsMutual }),
  };
}

/** TLS by the files that `VARLOG_TLS_CA`, `VARLOG_TLS_CERTIFICATE` and `VARLOG_TLS_KEY` name, if they do. */
export function tlsFromEnvironment(env: Environment): TlsOptions | undefined {
  return tlsFromFiles(tlsFilesOf(env));
}

/** The certificate that is shown, as PEM text; `undefined` where no file is named. */
export function certificateOf({ tlsCertificate }: TlsFiles): string | undefined {
  return tlsCertificate === undefined ? undefined : read(tlsCertificate);
}

export function tlsFilesOf(env: Environment): TlsFiles {
  return {
    tlsCa: env['VARLOG_TLS_CA'],
    tlsCertificate: env['VARLOG_TLS_CERTIFICATE'],
    tlsKey: env['VARLOG_TLS_KEY'],
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `cannot read the TLS file ${path}`,
      because: reasonOf(cause),
      cause,
    });
  }
}
