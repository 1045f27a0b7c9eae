import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VarlogError } from 'varlog/log';
import { type LedgerLocation, ledgerDatabase } from './database.ts';
import { type Generation, type LedgerLog, startGeneration } from './generation.ts';
import type { LedgerService } from './ledger-service.ts';

const FIRST = 'ledger.db';
/** Names the file that is served. */
const POINTER = 'current';
/** Reading a whole log may take so long. */
const REBUILD_MS = 24 * 3_600_000;

/**
 * The databases of a ledger in a folder: one that serves, and while it is rebuilt, another one, which reads the log from its
 * beginning and takes its place when it is level with it.
 */
export class Rebuild {
  private readonly location: LedgerLocation;
  private readonly log: LedgerLog;
  private readonly callTimeoutMs: number;
  private readonly closing = new AbortController();
  private running: Promise<number> | undefined;

  constructor(location: LedgerLocation, log: LedgerLog, callTimeoutMs: number) {
    this.location = location;
    this.log = log;
    this.callTimeoutMs = callTimeoutMs;
  }

  /** Opens the one that serves. What another rebuilding left behind is removed. */
  async open(): Promise<Generation> {
    // Who is the only one to apply here, alone may remove anything.
    const generation = await this.start(this.current);
    if ('directory' in this.location) this.removeOthers(this.location.directory);
    return generation;
  }

  /**
   * Makes the database anew from the log, and serves from it. Resolves with the position that it has then; the old one
   * serves until that, and for good where this rejects: `FAILED_PRECONDITION`, `TRIMMED` where the log does not begin at its
   * first entry any more, `CLOSED`, and errors of the log and the database.
   */
  async run(service: LedgerService): Promise<number> {
    this.closing.signal.throwIfAborted();
    if ('url' in this.location) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: 'a ledger in Postgres is not rebuilt in its place',
        next: 'start another replica with an empty database, and stop this one when that is ready',
      });
    }
    if (this.running !== undefined) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: 'the ledger is being rebuilt already',
        next: 'wait until it is done',
      });
    }
    this.running = this.replaceIn(this.location.directory, service).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** Gives up what is under way, and resolves when nothing is left of it. Another one is refused. Idempotent. */
  async close(): Promise<void> {
    this.closing.abort(
      new VarlogError('CLOSED', {
        what: 'the ledger shuts down, and is not rebuilt',
        next: 'rebuild it when it runs again',
      }),
    );
    await this.running?.catch(() => {});
  }

  private async replaceIn(directory: string, service: LedgerService): Promise<number> {
    const { signal } = this.closing;
    let next: Generation | undefined;
    try {
      const file = this.nextFile();
      next = await this.start(file);
      await next.replica.caughtUp({ timeoutMs: REBUILD_MS, signal });
      signal.throwIfAborted();
      const { position } = next.replica;
      const temporary = join(directory, `${POINTER}.new`);
      writeFileSync(temporary, file, { flush: true });
      renameSync(temporary, join(directory, POINTER));
      await service.replace(next);
      this.removeOthers(directory);
      return position;
    } catch (error) {
      if (next !== undefined && !service.serves(next)) {
        await next.retire().catch(() => {});
        this.removeOthers(directory);
      }
      throw error;
    }
  }

  private start(file: string): Promise<Generation> {
    const { location, log, callTimeoutMs, closing } = this;
    return startGeneration(ledgerDatabase(location, file), log, callTimeoutMs, closing.signal);
  }

  private get current(): string {
    if ('url' in this.location) return '';
    try {
      return readFileSync(join(this.location.directory, POINTER), 'utf8');
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return FIRST;
      throw error;
    }
  }

  private nextFile(): string {
    const number = Number(/^ledger-(\d+)\.db$/.exec(this.current)?.[1] ?? 0);
    return `ledger-${number + 1}.db`;
  }

  private removeOthers(directory: string): void {
    const { current } = this;
    for (const file of readdirSync(directory)) {
      const belongs = file === current || file.startsWith(`${current}-`);
      if (!belongs && /^ledger(-\d+)?\.db(-wal|-shm|-journal)?$/.test(file))
        rmSync(join(directory, file));
    }
  }
}
