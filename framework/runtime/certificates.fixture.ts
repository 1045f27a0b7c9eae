import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes certificates with the openssl command. */
export class Authority {
  readonly ca: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'varlog-certificates-'));
  private count = 0;

  constructor(name: string) {
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    this.openssl('req', '-x509', ...NEW_KEY, 'ca.key', '-out', 'ca.pem', ...subject);
    this.ca = this.read('ca.pem');
  }

  /** A certificate for `names`, such as `IP:127.0.0.1` or `DNS:localhost`. */
  issue(names: string): { certificate: string; key: string } {
    const own = `${++this.count}`;
    this.openssl('req', ...NEW_KEY, `${own}.key`, '-out', `${own}.csr`, '-subj', `/CN=${own}`);
    writeFileSync(join(this.folder, 'names'), `subjectAltName=${names}`);
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
    this.openssl(
      'x509',
      '-req',
      '-in',
      `${own}.csr`,
      '-out',
      `${own}.pem`,
      '-days',
      '2',
      ...signed,
    );
    return { certificate: this.read(`${own}.pem`), key: this.read(`${own}.key`) };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  private openssl(...parts: string[]): void {
    execFileSync('openssl', parts, { cwd: this.folder, stdio: 'pipe' });
  }

  private read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'];
