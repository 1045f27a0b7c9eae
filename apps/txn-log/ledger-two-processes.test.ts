import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSqlReplica } from 'varlog/smr/sql';
import { MemoryLog } from 'varlog/testing';
import { ledgerDatabase } from './database.ts';
import { FILE_LOG } from './file-log.fixture.ts';
import { LedgerMachine } from './ledger-machine.ts';

const CHILD = join(__dirname, '../../dist/apps/txn-log/ledger-applier.fixture.js');
const TAKE_OVER_MS = 2_000;

interface Applier {
  readonly child: ChildProcess;
  /** Resolves when it has been told a position: it applies. */
  readonly applies: Promise<void>;
  /** Exit code and all that it wrote to standard error. */
  readonly ended: Promise<{ code: number | null; said: string }>;
}

function startApplier(directory: string, file: string): Applier {
  const child = spawn(process.execPath, [CHILD, directory, file, String(TAKE_OVER_MS), 'stay'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return {
    child,
    applies: new Promise((resolve) => child.stdout.once('data', () => resolve())),
    ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, said }))),
  };
}

/** A file with the entries of a small log. */
async function writeLog(folder: string): Promise<string> {
  const log = new MemoryLog({ identity: FILE_LOG });
  const { writer } = ledgerDatabase({ directory: join(folder, 'first') });
  const ledger = await startSqlReplica({
    machine: new LedgerMachine(),
    name: 'ledger',
    dataSource: writer,
    log,
  });
  await ledger.execute({ op: 'open', account: 'bank', overdraftLimit: null });
  await ledger.close();
  await writer.destroy();
  const file = join(folder, 'log');
  for await (const it of log.follow(1)) {
    if (it.kind !== 'entries') continue;
    const lines = it.entries.map(({ command }) => Buffer.from(command).toString('base64'));
    writeFileSync(file, lines.join('\n'));
    break;
  }
  return file;
}

describe('two processes on one database', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-ledger-two-'));
  const children: ChildProcess[] = [];
  const start = (directory: string, file: string): Applier => {
    const applier = startApplier(directory, file);
    children.push(applier.child);
    return applier;
  };
  afterAll(() => {
    for (const it of children) it.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test('the later one is refused while the earlier one lives, and follows it once it hangs', async () => {
    if (!existsSync(CHILD)) throw new Error(`${CHILD} is missing: npm run build`);
    const file = await writeLog(folder);
    const directory = join(folder, 'shared');
    const first = start(directory, file);
    await first.applies;
    for (let i = 0; i < 2; i++) {
      const refused = await start(directory, file).ended;
      expect(refused.said).toContain('ANOTHER_APPLIER');
      expect(refused.said).toContain('stop the other one first');
      expect(refused.code).toBe(1);
    }
    expect(first.child.exitCode).toBe(null);
    first.child.kill('SIGSTOP');
    const second = start(directory, file);
    await second.applies;
    first.child.kill('SIGCONT');
    const fenced = await first.ended;
    expect(fenced.said).toContain('ANOTHER_APPLIER');
    expect(fenced.code).toBe(1);
    expect(second.child.exitCode).toBe(null);
    // The one that was fenced is started again by its supervisor, and disturbs nobody.
    expect((await start(directory, file).ended).code).toBe(1);
    expect(second.child.exitCode).toBe(null);
  }, 120_000);
});
