import { join } from 'node:path';
import { startSqlReplica } from 'varlog/smr/sql';
import { MemoryLog } from 'varlog/testing';
import { LocalProcesses, type Program } from '../../test/process/local-processes.ts';
import { eventually } from '../../test/process/processes.ts';
import { ledgerDatabase } from './database.ts';
import { FILE_LOG, writeLog } from './file-log.fixture.ts';
import { LedgerMachine } from './ledger-machine.ts';

const APPLIER = 'apps/txn-log/ledger-applier.fixture.js';
const TAKE_OVER_MS = 2_000;

/** A file with the entries of a small log. */
async function smallLog(folder: string): Promise<string> {
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
  await writeLog(log, file);
  return file;
}

describe('two processes on one database', () => {
  const processes = new LocalProcesses();
  const start = (directory: string, file: string): Program => {
    const applier = processes.program(APPLIER, [directory, file, String(TAKE_OVER_MS), 'stay']);
    applier.start();
    return applier;
  };
  /** Resolves when it has been told a position. */
  const applies = (applier: Program): Promise<void> =>
    eventually(async () => {
      if (!/^\d+$/m.test(applier.output)) throw new Error(`it does not apply: ${applier.output}`);
    });
  afterAll(() => processes[Symbol.asyncDispose]());

  test('the later one is refused while the earlier one lives, and follows it once it hangs', async () => {
    const file = await smallLog(processes.directory);
    const directory = processes.folder('shared');
    const first = start(directory, file);
    await applies(first);
    for (let i = 0; i < 2; i++) {
      const refused = start(directory, file);
      const code = await refused.ended();
      expect(refused.output).toContain('ANOTHER_APPLIER');
      expect(refused.output).toContain('stop the other one first');
      expect(code).toBe(1);
    }
    expect(first.isUp).toBe(true);
    first.signal('SIGSTOP');
    const second = start(directory, file);
    await applies(second);
    first.signal('SIGCONT');
    const fenced = await first.ended();
    expect(first.output).toContain('ANOTHER_APPLIER');
    expect(fenced).toBe(1);
    expect(second.isUp).toBe(true);
    // The one that was fenced is started again by its supervisor, and disturbs nobody.
    expect(await start(directory, file).ended()).toBe(1);
    expect(second.isUp).toBe(true);
  }, 120_000);
});
