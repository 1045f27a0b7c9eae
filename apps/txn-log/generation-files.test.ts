import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const MODULE = join(__dirname, '../../dist/apps/txn-log/generation-files.js');

test('the mark of the generation in force is on the disk before the one before it may be removed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-generation-'));
  try {
    writeFileSync(join(folder, 'ledger-1.db'), '');
    const program = `
      const { GenerationFiles } = await import('${pathToFileURL(MODULE).href}');
      const files = new GenerationFiles('${folder}');
      await files.putInForce(1);
      console.log(await files.inForce());`;
    const trace = join(folder, 'trace.json');
    const flags = ['--trace-event-categories=node.fs.sync', `--trace-event-file-pattern=${trace}`];
    const args = [...flags, '--input-type=module', '-e', program];
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(run.stdout).toBe('1\n');
    const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as {
      traceEvents: { name: string; ph: string }[];
    };
    const calls = traceEvents.filter((it) => it.ph === 'B').map((it) => it.name.split('.').at(-1));
    // Bytes first, then the name, and then the folder that has the name.
    const order = calls.filter((it) => it === 'fsync' || it === 'rename');
    expect(order).toEqual(['fsync', 'rename', 'fsync']);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
