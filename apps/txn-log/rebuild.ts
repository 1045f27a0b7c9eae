import { VarlogError } from 'varlog/log';
import { type LedgerLocation, ledgerDatabase } from './database.ts';
import { type Generation, type LedgerLog, startGeneration } from './generation.ts';
import { GenerationFiles } from './generation-files.ts';
import { GenerationSchemas } from './generation-schemas.ts';
import type { Generations } from './generations.ts';
import type { LedgerService } from './ledger-service.ts';

/** Reading a whole log may take so long. */
const REBUILD_MS = 24 * 3_600_000;

/**
 * The generations of a ledger's database: one that serves, and while it is rebuilt, another one, which reads the log from its
 * beginning and takes its place when it is level with it.
 */
export class Rebuild {
  private readonly location: LedgerLocation;
  private readonly log: LedgerLog;
  private readonly callTimeoutMs: number;
  private readonly generations: Generations;
  private readonly closing = new AbortController();
  private running: Promise<number> | undefined;

  constructor(location: LedgerLocation, log: LedgerLog, callTimeoutMs: number) {
    this.location = location;
    this.log = log;
    this.callTimeoutMs = callTimeoutMs;
    this.generations =
      'directory' in location
        ? new GenerationFiles(location.directory)
        : new GenerationSchemas(location.url);
  }

  /** Opens the one that serves. What another rebuilding left behind is removed. */
  async open(): Promise<Generation> {
    for (;;) {
      const number = await this.generations.inForce();
      let generation: Generation | undefined;
      try {
        generation = await this.start(number);
        const { replica } = generation;
        // Who is the only one to apply there, keeps it in force.
        if ((await replica.exclusively(() => this.generations.inForce())) === number) {
          await this.removeOthers(generation);
          return generation;
        }
      } catch (error) {
        await generation?.close();
        if ((await this.generations.inForce()) === number) throw error;
        continue;
      }
      // Another process put a rebuilt one in force and removed this one, which was then made anew by opening it.
      await generation.close();
      await this.generations.remove(number);
    }
  }

  /**
   * Makes the database anew from the log, and serves from it. Resolves with the position that it has then; the old one
   * serves until that, and for good where this rejects: `FAILED_PRECONDITION`, `TRIMMED` where the log does not begin at its
   * first entry any more, `ANOTHER_APPLIER`, `CLOSED`, and errors of the log and the database.
   */
  async run(service: LedgerService): Promise<number> {
    this.closing.signal.throwIfAborted();
    if (this.running !== undefined) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: 'the ledger is being rebuilt already',
        next: 'wait until it is done',
      });
    }
    this.running = this.replace(service);
    try {
      return await this.running;
    } finally {
      this.running = undefined;
    }
  }

  /** Gives up what is under way, and resolves when nothing is left of it. Another one is refused. Idempotent. */
  async close(): Promise<void> {
    this.closing.abort(
      new VarlogError('CLOSED', {
        what: 'the replica was closed before the ledger was rebuilt',
        next: 'rebuild it when the replica runs again',
      }),
    );
    await this.running?.catch(() => {});
  }

  private async replace(service: LedgerService): Promise<number> {
    const before = service.generation;
    await this.removeOthers(before);
    const number = await before.replica.exclusively(() => this.generations.add());
    let next: Generation | undefined;
    let position: number;
    try {
      next = await this.start(number);
      const { signal } = this.closing;
      await next.replica.caughtUp({ timeoutMs: REBUILD_MS, signal });
      position = next.replica.position;
      await this.putInForce(next, before);
    } catch (error) {
      await next?.close().catch(() => {});
      await this.removeOthers(before);
      throw error;
    }
    await service.replace(next);
    await this.removeOthers(next);
    return position;
  }

  private async putInForce({ number }: Generation, before: Generation): Promise<void> {
    try {
      await before.replica.exclusively((manager) => this.generations.putInForce(number, manager));
    } catch (error) {
      // The database may have done it, and not have been able to say so.
      if ((await this.generations.inForce()) !== number) throw error;
    }
  }

  private start(number: number): Promise<Generation> {
    const { location, log, callTimeoutMs, closing } = this;
    const database = ledgerDatabase(location, number);
    return startGeneration(number, database, log, callTimeoutMs, closing.signal);
  }

  /** Removes all generations but the one that serves, if that is in force. What cannot be removed now, is the next time. */
  private async removeOthers(serving: Generation): Promise<void> {
    try {
      // Another process may serve by now, and make what this one takes for a leftover.
      const others = await serving.replica.exclusively(async () => {
        const inForce = await this.generations.inForce();
        return inForce === serving.number ? this.generations.others() : [];
      });
      for (const number of others) {
        await serving.letGoFor(ledgerDatabase(this.location, number));
        await this.generations.remove(number);
      }
    } catch {
      // It is in nobody's way.
    }
  }
}
