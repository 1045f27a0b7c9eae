import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryLog } from 'varlog/testing';
import { FILE_LOG, fileLog } from './file-log.fixture.ts';
import { startLedgerReplica } from './replica.ts';

const CHILD = join(__dirname, '../../dist/apps/txn-log/ledger-applier.fixture.js');
const http = '127.0.0.1:0';

/** Runs the applier and kills it some time after it reached another `steps` positions; tells whether it was done before. */
function runAndKill(directory: string, file: string, steps: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, directory, file, '20'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString().split('\n').length - 1;
      if (seen > steps) child.kill('SIGKILL');
    });
    child.once('exit', (code, signal) => {
      if (code !== null && code !== 0) reject(new Error(`the applier ended with ${code}`));
      else resolve(signal === null);
    });
  });
}

describe('a ledger that is killed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varlog-ledger-crash-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('has applied each command once, however often it was killed', async () => {
    if (!existsSync(CHILD)) throw new Error(`${CHILD} is missing: npm run build`);
    const log = new MemoryLog({ identity: FILE_LOG });
    const whole = await startLedgerReplica({
      http,
      location: { directory: join(folder, 'whole') },
      log,
    });
    await whole.service.open('bank', null);
    await whole.service.open('alice');
    for (let i = 0; i < 20; i++) {
      await Promise.all(
        Array.from({ length: 30 }, (_, j) =>
          whole.service.transfer({
            id: `${i}-${j}`,
            legs: [
              { account: j % 3 === 0 ? 'alice' : 'bank', amount: -BigInt(i + j + 1) },
              { account: j % 3 === 0 ? 'bank' : 'alice', amount: BigInt(i + j + 1) },
            ],
          }),
        ),
      );
    }
    const file = join(folder, 'log');
    const commands: string[] = [];
    for await (const it of log.follow(1)) {
      if (it.kind === 'entries') {
        for (const { command } of it.entries)
          commands.push(Buffer.from(command).toString('base64'));
      }
      break;
    }
    // Every tenth arrives twice, as from a client that did not get its answer.
    writeFileSync(file, commands.flatMap((it, i) => (i % 10 === 9 ? [it, it] : [it])).join('\n'));
    const directory = join(folder, 'killed');
    let kills = 0;
    for (let steps = 3; !(await runAndKill(directory, file, steps)); steps = 3 + ((steps * 7) % 31))
      kills++;
    expect(kills).toBeGreaterThan(3);
    const again = await startLedgerReplica({
      http,
      location: { directory },
      log: await fileLog(file),
    });
    const balances = async ({ service }: typeof whole) =>
      (await service.accounts({ stale: true })).map(({ id, balance }) => [id, balance]);
    const outcomes = async ({ service }: typeof whole) =>
      (await service.transfers(undefined, { stale: true })).map(({ id, refusal, postings }) => ({
        id,
        refusal,
        postings,
      }));
    expect(await balances(again)).toEqual(await balances(whole));
    expect(await outcomes(again)).toEqual(await outcomes(whole));
    expect(await again.service.audit({ stale: true })).toMatchObject({ ok: true, accounts: 2 });
    await again.close();
    await whole.close();
  }, 120_000);
});
