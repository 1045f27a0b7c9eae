import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TlsOptions, Varlog } from 'varlog/log';
import { Authority } from '../../framework/runtime/certificates.fixture.ts';
import { eventually, TestCluster, whole } from './processes.ts';

const OLD = 'token-of-before-0123456789';
const NEW = 'token-from-now-on-0123456789';

test('certificates, their authority and tokens change under a running cluster', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-rotation-'));
  const [before, after] = [new Authority('before'), new Authority('after')];
  const own = { ca: before.ca, ...before.issue('IP:127.0.0.1') };
  const file = (name: string) => join(folder, name);
  const write = (parts: Partial<TlsOptions>): void => {
    for (const [name, text] of Object.entries(parts)) writeFileSync(file(name), text as string);
  };
  const tokens = (...all: string[]): void => {
    writeFileSync(file('tokens'), all.join('\n'));
    chmodSync(file('tokens'), 0o600);
  };
  write(own);
  tokens(OLD);
  const flags = [
    ...['--tls-ca', file('ca'), '--tls-certificate', file('certificate'), '--tls-key', file('key')],
    ...['--token-file', file('tokens'), '--log-level', 'info'],
  ];
  await using cluster = await TestCluster.start(3, { tls: { flags, client: own }, token: OLD });
  const { endpoints, nodes } = cluster;
  const connected = (tls: TlsOptions, token: string) =>
    eventually(() => Varlog.connect({ endpoints, tls, token, timeoutMs: 2_000 }));
  const said = (text: string) =>
    eventually(async () => {
      for (const it of nodes) expect(it.output).toContain(text);
    });

  const varlog = await cluster.connect();
  const topic = await varlog.createTopic();
  let isOver = false;
  let appended = 0;
  const load = (async () => {
    // A node is started again meanwhile, which may leave the outcome of one open.
    while (!isOver) {
      const { glsn } = await topic.append('x', { timeoutMs: 5_000 }).catch(() => ({ glsn: 0 }));
      if (glsn > 0) appended++;
    }
  })();

  // What was not written to its end, or does not fit, is said and not taken.
  const next = { ...after.issue('IP:127.0.0.1') };
  write({ key: next.key });
  await said('cannot be used');
  write({ ca: own.ca + after.ca, key: own.key });
  tokens(OLD, NEW);
  await said('changed certificates are in use');
  await said('changed tokens are in use');
  write(next);
  const soFar = appended;
  const later = { ca: after.ca, ...next };
  const newcomer = await connected(later, NEW);

  // The connections of before go on.
  await eventually(async () => expect(appended).toBeGreaterThan(soFar));

  // A node that is started again is taken in by the others, and takes them in.
  await nodes[0]!.end('SIGTERM');
  nodes[0]!.start();
  await whole(newcomer);
  tokens(NEW);
  write({ ca: after.ca });
  // Those of before are strangers now.
  await eventually(async () => {
    for (const tls of [own, later]) {
      const token = tls === own ? NEW : OLD;
      const refused = Varlog.connect({ endpoints, tls, token, timeoutMs: 1_000 });
      await expect(refused).rejects.toMatchObject({
        code: tls === own ? 'UNREACHABLE' : 'UNAUTHENTICATED',
      });
    }
  });
  await newcomer.close();
  isOver = true;
  await load;
  for (const it of nodes) expect(it.isUp).toBe(true);
  await varlog.close();
  for (const it of [before, after]) it.remove();
  rmSync(folder, { recursive: true });
}, 240_000);
