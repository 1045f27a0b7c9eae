import { readFileSync } from 'node:fs';
import { MemoryLog } from 'varlog/testing';

/** A log whose entries lie in a file, one in each line: the same one for every process that reads it. */
export async function fileLog(file: string): Promise<MemoryLog> {
  const log = Object.assign(new MemoryLog(), { identity: async () => `the log in ${file}` });
  const lines = readFileSync(file, 'utf8').split('\n');
  await log.append(lines.map((line) => Buffer.from(line, 'base64')));
  return log;
}
