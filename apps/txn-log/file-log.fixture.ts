import { readFileSync } from 'node:fs';
import { MemoryLog } from 'varlog/testing';

/** What a log says it is whose entries are going to lie in a file. */
export const FILE_LOG = 'the log in a file';

/** A log whose entries lie in a file, one in each line: the same one for every process that reads it. */
export async function fileLog(file: string): Promise<MemoryLog> {
  const log = new MemoryLog({ identity: FILE_LOG });
  const lines = readFileSync(file, 'utf8').split('\n');
  await log.append(lines.map((line) => Buffer.from(line, 'base64')));
  return log;
}
