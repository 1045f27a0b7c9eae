import { startSqlReplica } from 'varlog/smr/sql';
import { ledgerDatabase } from './database.ts';
import { fileLog } from './file-log.fixture.ts';
import { LedgerMachine } from './ledger-machine.ts';

/**
 * Applies a log that lies in a file, telling each position that it reached: to be killed at any moment. With `stay` it
 * does not end at the end of the log, but when it fails.
 */
const [directory, file, takeOverMs, stay] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
];
const { writer } = ledgerDatabase({ directory });
const replica = await startSqlReplica({
  machine: new LedgerMachine(),
  name: 'ledger',
  dataSource: writer,
  log: await fileLog(file),
  batchMax: 3,
  takeOverMs: Number(takeOverMs),
});
const failed = new Promise((_, reject) => {
  replica.status$.subscribe(({ position, error }) => {
    process.stdout.write(`${position}\n`);
    if (error !== undefined) reject(error);
  });
});
failed.catch(() => {});
await replica.caughtUp();
if (stay === 'stay') {
  const alive = setInterval(() => {}, 1_000);
  await failed.finally(() => clearInterval(alive));
}
await replica.close();
