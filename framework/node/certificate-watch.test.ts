import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority } from '../runtime/certificates.fixture.ts';
import { ManualClock } from '../testing/index.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { closeAll, closers, Observed } from './observed.fixture.ts';

const DAY_MS = 86_400_000;

describe('the certificate of a node', () => {
  const authority = new Authority('one');
  const own = authority.issue('IP:127.0.0.1,IP:::1,DNS:*.example.org');
  afterAll(() => authority.remove());
  afterEach(closeAll);

  /** A watch that begins so many days from now, and what it logs. */
  function watch(days: number, address = '127.0.0.1:9092') {
    const clock = new ManualClock({ wall: Date.now() + days * DAY_MS });
    const logged: string[] = [];
    const logger = { log: (level: string, event: string) => logged.push(`${level} ${event}`) };
    const it = new CertificateWatch({ certificate: own.certificate, address, clock, logger });
    closers.push(async () => it.stop());
    return { it, clock, logged };
  }

  test('that nobody would accept keeps it from starting, with the reason', () => {
    for (const address of ['127.0.0.1:1', '[::1]:1', 'a.example.org:1']) {
      expect(() => watch(0, address)).not.toThrow();
    }
    const refused = (days: number, address?: string) => expect(() => watch(days, address));
    refused(0, '127.0.0.9:1').toThrow(/CONFIG_INVALID.*127\.0\.0\.9 .*IP/);
    refused(0, 'example.com:1').toThrow(/CONFIG_INVALID.*example\.com/);
    refused(3).toThrow(/CONFIG_INVALID.*it ended at 2\d{3}-.*a new one/);
    refused(-1).toThrow(/CONFIG_INVALID.*it begins at 2\d{3}-.*clock/);
  });

  test('is told of before it ends, and when it has', async () => {
    const { it, clock, logged } = watch(0);
    const soon = 'warn the certificate of this node ends soon';
    expect([logged, it.notReady()]).toEqual([[soon], []]);
    expect(it.endsAt * 1_000 - Date.now()).toBeGreaterThan(DAY_MS);
    await clock.advance(2 * DAY_MS + 1_000);
    expect(logged.at(-1)).toBe('error the certificate of this node has ended');
    expect(it.notReady()).toEqual([
      expect.stringMatching(/ended at 2.*a new one in the same file/),
    ]);
  });

  test('is among the figures of the process', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
    closers.push(async () => rmSync(folder, { recursive: true }));
    const tlsCertificate = join(folder, 'node.pem');
    writeFileSync(tlsCertificate, own.certificate);
    const flags = { tlsCertificate, tlsCa: tlsCertificate, tlsKey: tlsCertificate };
    const node = await Observed.start(flags);
    const [line = ''] = await node.metric('tls_certificate_ends_seconds');
    expect(Number(line.split(' ')[1])).toBeGreaterThan(Date.now() / 1_000);
  });
});
