import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority } from '../runtime/certificates.fixture.ts';
import { ManualClock } from '../testing/index.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { CredentialFiles } from './credential-files.ts';
import { CredentialWatch } from './credential-watch.ts';

const OLD = 'token-of-before-0123456789';
const NEW = 'token-from-now-on-0123456789';

describe('files of certificates and tokens that change under a node', () => {
  const authority = new Authority('one');
  const other = new Authority('other');
  const { ca } = authority;
  const [first, second] = [authority.issue('IP:127.0.0.1'), authority.issue('IP:127.0.0.1')];
  const folder = mkdtempSync(join(tmpdir(), 'varlog-credentials-'));
  const [tlsCa, tlsCertificate, tlsKey, tokenFile] = ['ca', 'certificate', 'key', 'tokens'].map(
    (it) => join(folder, it),
  ) as [string, string, string, string];
  afterAll(() => {
    for (const it of [authority, other]) it.remove();
    rmSync(folder, { recursive: true });
  });

  /** A watch over fresh files, and what it logs. */
  function begin() {
    writeFileSync(tlsCa, ca);
    writeFileSync(tlsCertificate, first.certificate);
    writeFileSync(tlsKey, first.key);
    writeFileSync(tokenFile, OLD);
    chmodSync(tokenFile, 0o600);
    const files = new CredentialFiles({ tlsCa, tlsCertificate, tlsKey, tokenFile });
    const clock = new ManualClock({ wall: Date.now() });
    const logged: string[] = [];
    const logger = {
      log: (...it: unknown[]) => void logged.push(it.map((x) => JSON.stringify(x)).join(' ')),
    };
    const address = '127.0.0.1:9092';
    const certificate = new CertificateWatch({ ...first, address, clock, logger });
    logged.length = 0;
    const watch = new CredentialWatch({ files, certificate, clock, logger });
    return { files, watch, logged, looks: (count: number) => clock.advance(count * 5_000) };
  }

  test('are taken over', async () => {
    const { files, watch, logged, looks } = begin();
    writeFileSync(tlsCa, ca + other.ca);
    writeFileSync(tlsCertificate, second.certificate);
    writeFileSync(tlsKey, second.key);
    writeFileSync(tokenFile, `${NEW}\n${OLD}\n`);
    await looks(3);
    expect(files.tls?.current).toEqual({ ca: ca + other.ca, ...second });
    expect(files.tokens?.first).toBe(NEW);
    expect(files.tokens?.has(OLD)).toBe(true);
    expect(watch.isRefused).toBe(false);
    expect(logged.filter((it) => it.startsWith('"info"'))).toHaveLength(2);
    expect(logged.join()).not.toContain(NEW);
    watch.stop();
  });

  test.each<[string, () => void]>([
    ['the key of another certificate', () => writeFileSync(tlsKey, second.key)],
    ['half a certificate', () => writeFileSync(tlsCertificate, second.certificate.slice(0, 200))],
    ['half an authority', () => writeFileSync(tlsCa, ca + other.ca.slice(0, 200))],
    ['an empty file', () => writeFileSync(tlsCa, '')],
    ['no file', () => rmSync(tlsKey)],
    [
      'a certificate for another host',
      () => {
        const elsewhere = authority.issue('DNS:example.org');
        writeFileSync(tlsCertificate, elsewhere.certificate);
        writeFileSync(tlsKey, elsewhere.key);
      },
    ],
    ['no token', () => writeFileSync(tokenFile, '')],
    ['a file of tokens that others can read', () => chmodSync(tokenFile, 0o644)],
  ])('are not where there is %s: it is said, once, until it is mended', async (_, spoil) => {
    const { files, watch, logged, looks } = begin();
    spoil();
    await looks(1);
    // They may be in the middle of being written.
    expect([watch.isRefused, logged]).toEqual([false, []]);
    await looks(3);
    expect(watch.isRefused).toBe(true);
    expect(logged).toEqual([
      expect.stringMatching(/^"error" .*goes on with those of before.*CONFIG_INVALID/),
    ]);
    expect(files.tls?.current).toEqual({ ca, ...first });
    expect([files.tokens?.first, files.tokens?.has(OLD)]).toEqual([OLD, true]);
    writeFileSync(tlsCa, ca);
    writeFileSync(tlsCertificate, second.certificate);
    writeFileSync(tlsKey, second.key);
    writeFileSync(tokenFile, NEW);
    chmodSync(tokenFile, 0o600);
    await looks(1);
    expect(watch.isRefused).toBe(false);
    expect(files.tls?.current).toEqual({ ca, ...second });
    expect(files.tokens?.first).toBe(NEW);
    watch.stop();
  });

  test('keep a good token waiting for no bad certificate', async () => {
    const { files, watch, looks } = begin();
    writeFileSync(tlsKey, 'hello');
    writeFileSync(tokenFile, NEW);
    await looks(1);
    expect(files.tokens?.first).toBe(NEW);
    expect(files.tls?.current).toEqual({ ca, ...first });
    watch.stop();
  });
});
