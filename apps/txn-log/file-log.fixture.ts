import { readFileSync, writeFileSync } from 'node:fs';
import { MemoryLog } from 'varlog/testing';

/** What a log says it is whose entries are going to lie in a file. */
export const FILE_LOG = 'the log in a file';

/** A log whose entries lie in a file, one in each line: the same one for every process that reads it. */
export async function fileLog(
  file: string,
  log: MemoryLog = new MemoryLog({ identity: FILE_LOG }),
): Promise<MemoryLog> {
  const lines = readFileSync(file, 'utf8').split('\n');
  await log.append(lines.map((line) => Buffer.from(line, 'base64')));
  return log;
}

/** Puts the entries of a log into a file. */
export async function writeLog(log: MemoryLog, file: string): Promise<void> {
  for await (const it of log.follow(1)) {
    if (it.kind !== 'entries') continue;
    const lines = it.entries.map(({ command }) => Buffer.from(command).toString('base64'));
    writeFileSync(file, lines.join('\n'));
    break;
  }
}
