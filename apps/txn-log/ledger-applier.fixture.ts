import { readFileSync } from 'node:fs';
import { startSqlReplica } from 'varlog/smr/sql';
import { MemoryLog } from 'varlog/testing';
import { ledgerDatabase } from './database.ts';
import { LedgerMachine } from './ledger-machine.ts';

/** Applies a log that lies in a file, telling each position that it reached: to be killed at any moment. */
const [directory, file] = process.argv.slice(2) as [string, string];
const log = new MemoryLog();
const lines = readFileSync(file, 'utf8').split('\n');
await log.append(lines.map((line) => Buffer.from(line, 'base64')));
const { writer } = ledgerDatabase({ directory });
const replica = await startSqlReplica({
  machine: new LedgerMachine(),
  name: 'ledger',
  dataSource: writer,
  log,
  batchMax: 3,
});
replica.status$.subscribe(({ position }) => process.stdout.write(`${position}\n`));
await replica.caughtUp();
await replica.close();
