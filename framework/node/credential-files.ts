import { VarlogError } from '../base/index.ts';
import { AccessTokens, ChangingTls, checkTls } from '../runtime/index.ts';
import { type TlsFiles, tlsFromFiles } from './tls-files.ts';
import { tokensFromFile } from './token-file.ts';

interface Files extends TlsFiles {
  readonly tokenFile?: string | undefined;
}

/** The certificates and access tokens of a process, as its files had them when they were last usable. */
export class CredentialFiles {
  private readonly files: Files;
  /** Undefined where no files of TLS are named. */
  readonly tls: ChangingTls | undefined;
  /** Undefined where no file of tokens is named. */
  readonly tokens: AccessTokens | undefined;

  /** Throws `CONFIG_INVALID` for files that cannot be used. */
  constructor(files: Files) {
    this.files = files;
    const tls = tlsFromFiles(files);
    this.tls = tls && new ChangingTls(tls);
    const tokens = tokensFromFile(files.tokenFile);
    this.tokens = tokens && new AccessTokens(tokens);
  }

  /**
   * Takes over what has changed in the files, and tells what that was. TLS has to pass `check` too. Throws `CONFIG_INVALID` for
   * files that cannot be used: then the process goes on with what it had of that kind.
   */
  look(check: (certificate: string | undefined) => void): ('certificates' | 'tokens')[] {
    const changed: ('certificates' | 'tokens')[] = [];
    let refusal: unknown;
    const take = (kind: 'certificates' | 'tokens', read: () => boolean): void => {
      try {
        if (read()) changed.push(kind);
      } catch (error) {
        if (!VarlogError.is(error, 'CONFIG_INVALID')) throw error;
        refusal ??= error;
      }
    };
    take('certificates', () => {
      const next = tlsFromFiles(this.files);
      if (next === undefined || this.tls === undefined) return false;
      const { ca, certificate, key } = this.tls.current;
      if (next.ca === ca && next.certificate === certificate && next.key === key) return false;
      checkTls(next);
      check(next.certificate);
      this.tls.change(next);
      return true;
    });
    take('tokens', () => {
      const next = tokensFromFile(this.files.tokenFile);
      return next !== undefined && this.tokens?.change(next) === true;
    });
    if (refusal !== undefined) throw refusal;
    return changed;
  }
}
