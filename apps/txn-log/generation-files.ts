import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { VarlogError } from 'varlog/log';
import { fileOf } from './database.ts';
import type { Generations } from './generations.ts';

/** Names the file that is in force. */
const MARK = 'current';

/** Generations in SQLite: a file each, in one folder. */
export class GenerationFiles implements Generations {
  private readonly directory: string;
  /** Which one was met or made last: one that stands still and lost its place may still have that open. */
  private newest = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  async inForce(): Promise<number> {
    const mark = join(this.directory, MARK);
    const file = existsSync(mark) ? readFileSync(mark, 'utf8') : fileOf(0);
    const generation = numberOf(file);
    if (generation >= 0) return generation;
    throw new VarlogError('CORRUPT', {
      what: `${mark} names ${JSON.stringify(file)}, which is no database of a ledger`,
      next: 'stop the ledger, and remove that file and the databases beside it: it fills itself from the log',
    });
  }

  async others(): Promise<number[]> {
    const inForce = await this.inForce();
    const numbers = readdirSync(this.directory).map(numberOf);
    this.newest = Math.max(this.newest, ...numbers);
    return [...new Set(numbers)].filter((it) => it >= 0 && it !== inForce);
  }

  async add(): Promise<number> {
    await this.others();
    return ++this.newest;
  }

  async putInForce(generation: number): Promise<void> {
    const temporary = join(this.directory, `${MARK}.new`);
    writeFileSync(temporary, fileOf(generation), { flush: true });
    renameSync(temporary, join(this.directory, MARK));
    // What was in force before is removed next: without this, a loss of power may bring the old mark back, and nothing else.
    syncDirectory(this.directory);
  }

  async remove(generation: number): Promise<void> {
    if (generation === (await this.inForce())) return;
    for (const more of ['-wal', '-shm', '-journal', ''])
      rmSync(join(this.directory, `${fileOf(generation)}${more}`), { force: true });
  }
}

function syncDirectory(directory: string): void {
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Of which generation a file is; below 0 where it is of none. */
function numberOf(file: string): number {
  const parts = /^ledger(?:-(\d+))?\.db(?:-wal|-shm|-journal)?$/.exec(file);
  return parts === null ? -1 : Number(parts[1] ?? 0);
}
