import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, ROOT } from '../process/local-processes.ts';
import { eventually } from '../process/processes.ts';
import { COMPILER, filesOf } from './guides.ts';

test('whoever follows the guide to running has a service that goes on when a process of it is killed', async () => {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'dist', 'running-'));
  await using processes = new LocalProcesses();
  try {
    const files = [...filesOf('docs/guide/testing.md'), ...filesOf('docs/guide/running.md')];
    const wanted = ['seats.ts', 'serve.ts', 'watch.ts', 'machine.ts'];
    for (const [name, code] of files)
      if (wanted.includes(name)) writeFileSync(join(folder, name), code);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(COMPILER));
    const tsc = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), { cwd: folder, encoding: 'utf8' });
    expect([tsc.status, tsc.stdout]).toEqual([0, '']);

    const ports = (await freeAddresses(4)).map((it) => it.split(':')[1]!) as [string, ...string[]];
    const flags = ['--port', ports[0], '--http-port', ports[1]!, '-d', processes.folder('cluster')];
    const up = processes.program('framework/node/cli.js', ['up', '-n', '1', ...flags]);
    up.start();
    await eventually(async () => expect(up.output).toContain('ready'));
    const env = { VARLOG_URL: `varlog://127.0.0.1:${ports[0]}/1` };
    const program = (name: string, ...args: string[]) =>
      processes.program(relative(join(ROOT, 'dist'), join(folder, name)), args, env);
    const [first, second] = [ports[2]!, ports[3]!];
    const served = program('serve.js', first, join(folder, 'data-1'));
    const other = program('serve.js', second, join(folder, 'data-2'));
    for (const it of [served, other]) {
      it.start();
      await eventually(async () => expect(it.output).toContain('serving'));
    }
    const ask = async (port: string, command?: object, key?: string): Promise<unknown> => {
      const headers = key === undefined ? {} : { 'idempotency-key': key };
      const post = { method: 'POST', body: JSON.stringify(command), headers };
      const url = `http://127.0.0.1:${port}/`;
      return (await fetch(url, command === undefined ? {} : post)).json();
    };
    expect(await ask(first, { reserve: 'Ada', seats: 4 })).toEqual({ ok: true, left: 6 });
    expect(await ask(second)).toEqual({ left: 6 });
    const bob = { reserve: 'Bob', seats: 5 };
    expect(await ask(second, bob, 'bob-1')).toEqual({ ok: true, left: 1 });
    expect(await ask(first, bob, 'bob-1')).toEqual({ ok: true, left: 1 });
    await served.end('SIGKILL');
    expect(await ask(second, { cancel: 'Ada' })).toEqual({ ok: true, left: 5 });
    served.start();
    await eventually(async () => expect(await ask(first)).toEqual({ left: 5 }));
    const watch = program('watch.js');
    watch.start();
    // The four commands, and what the replicas wrote beside them.
    const lines = () => watch.output.match(/^\d+ \d+ .*Z$/gm) ?? [];
    await eventually(async () => expect(lines().length).toBeGreaterThanOrEqual(4));
    const cli = [join(ROOT, 'dist/framework/node/cli.js'), 'replay', '1'];
    const replayed = execFileSync(
      process.execPath,
      [...cli, '--machine', './machine.js', '--twice'],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, ...env },
      },
    );
    expect(replayed).toMatch(/^same: 3 commands/);
    // Both end by themselves when they are asked to.
    for (const it of [watch, served, other, up]) await it.end('SIGTERM');
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);

test('the guide to running names all that is tested here', () => {
  const text = readFileSync(join(ROOT, 'docs/guide/running.md'), 'utf8');
  const names = filesOf('docs/guide/running.md').map(([name]) => name);
  expect(names).toEqual(['serve.ts', 'watch.ts', 'machine.ts']);
  expect([...text.matchAll(/^```ts$/gm)]).toHaveLength(names.length);
});
