import { execFileSync } from 'node:child_process';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, ROOT } from './local-processes.ts';
import { eventually } from './processes.ts';

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((it) => it?.family === 'IPv6');

describe('a cluster on IPv6', () => {
  test('serves, replicates, reports its health and is found by its addresses', async () => {
    if (!hasIpv6) {
      const cli = join(ROOT, 'dist/framework/node/cli.js');
      const serve = ['server', '--listen', '[::1]:9092', '--directory', tmpdir()];
      const run = (): Buffer => execFileSync(process.execPath, [cli, ...serve], { stdio: 'pipe' });
      expect(run).toThrow('cannot listen on [::1]:9092');
      return;
    }
    await using processes = new LocalProcesses();
    const ports = (await freeAddresses(4)).map((it) => it.slice(it.lastIndexOf(':') + 1));
    const [first, second, http, store] = ports.map((port) => `[::1]:${port}`) as [
      string,
      ...string[],
    ];
    const nodes = [first, second!].map((listen, i) =>
      processes.node({
        ...{ 'node-id': i + 1, listen, members: `1=${first},2=${second}` },
        ...{ 'replication-factor': 2, directory: processes.folder(`${i + 1}`) },
        ...(i === 0 ? { http: http! } : {}),
      }),
    );
    const app = processes.program('apps/kv-store/cli.js', [
      ...['serve', '--varlog', `varlog://${first},${second}/2`],
      ...['--grpc', '[::1]:0', '--http', store!, '--directory', processes.folder('kv')],
    ]);
    for (const it of nodes) it.start();
    await using varlog = await Varlog.connect({
      endpoints: `varlog://${first},${second}`,
      timeoutMs: 30_000,
    });
    await varlog.ready({ storageNodes: 2, timeoutMs: 30_000 });
    const topic = await varlog.createTopic();
    const kv = await varlog.createTopic();
    await topic.append('hello');
    const cli = join(ROOT, 'dist/framework/node/cli.js');
    const read = ['read', '--endpoints', `varlog://${first}/1`];
    expect(execFileSync(process.execPath, [cli, ...read], { encoding: 'utf8' })).toBe('1\thello\n');
    const healthcheck = join(ROOT, 'dist/framework/node/healthcheck.js');
    await eventually(async () => {
      const env = { ...process.env, VARLOG_HTTP: http! };
      execFileSync(process.execPath, [healthcheck], { env, stdio: 'pipe' });
    });
    expect(kv.id).toBe(2);
    app.start();
    await eventually(async () => {
      if (!app.output.includes('serving')) throw new Error(app.output);
      const put = await fetch(`http://${store}/kv/a`, { method: 'PUT', body: 'b' });
      expect(put.ok).toBe(true);
    });
  }, 120_000);
});
