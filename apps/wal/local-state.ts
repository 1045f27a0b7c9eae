import { join } from 'node:path';
import { DataSource, EntitySchema } from 'typeorm';
import { VarlogError } from 'varlog/log';
import { makePathSync } from 'varlog/node';
import { z } from 'zod';
import { taken } from '../inputs.ts';
import type { WalRecord } from './wal-topic.ts';

const Directory = z.string().min(1, 'is empty');

interface Item {
  key: string;
  value: string;
}
interface Progress {
  id: number;
  log: string;
  position: number;
}

const ItemEntity = new EntitySchema<Item>({
  name: 'item',
  columns: { key: { type: 'varchar', primary: true }, value: { type: 'varchar' } },
});
const ProgressEntity = new EntitySchema<Progress>({
  name: 'progress',
  columns: {
    id: { type: 'integer', primary: true },
    log: { type: 'varchar' },
    position: { type: 'integer' },
  },
});

/** What a process has of the store on its own disk. It may be lost: the log has it all. */
export class LocalState implements AsyncDisposable {
  private readonly source: DataSource;
  private readonly log: string;
  private applied: number;
  private last: Promise<unknown> = Promise.resolve();

  private constructor(source: DataSource, log: string, applied: number) {
    this.source = source;
    this.log = log;
    this.applied = applied;
  }

  /**
   * Opens the database of a folder, or makes it. `log`: the identity of the log under it. Rejects with `LOG_MISMATCH` when
   * the folder belongs to another one, and with `INVALID_ARGUMENT` for what is no folder's name.
   */
  static async open(directory: string, log: string): Promise<LocalState> {
    taken(Directory, directory, 'directory', 'give the path of a folder of this process alone');
    makePathSync(directory);
    const source = new DataSource({
      type: 'better-sqlite3',
      database: join(directory, 'store.db'),
      entities: [ItemEntity, ProgressEntity],
      synchronize: true,
      enableWAL: true,
      // Without a sync of its own for each record: a power loss takes whole transactions, and the log has them.
      prepareDatabase: (database: { pragma(text: string): void }) =>
        database.pragma('synchronous = NORMAL'),
    });
    await source.initialize();
    try {
      const progress = await source.manager.findOneBy(ProgressEntity, { id: 1 });
      if (progress !== null && progress.log !== log) throw mismatch(directory, progress.log, log);
      return new LocalState(source, log, progress?.position ?? 0);
    } catch (error) {
      await source.destroy();
      throw error;
    }
  }

  /** The position of the last record that is applied; 0: none. */
  get position(): number {
    return this.applied;
  }

  /** Applies the record at `position`, and remembers that in the same transaction. Does nothing where it was applied before. */
  apply(record: WalRecord, position: number): Promise<void> {
    return this.inTurn(() => this.applyNow(record, position));
  }

  private async applyNow(record: WalRecord, position: number): Promise<void> {
    if (position <= this.applied) return;
    await this.source.transaction(async (manager) => {
      if (record.op === 'put') {
        await manager.save(ItemEntity, { key: record.key, value: record.value });
      } else if (record.op === 'delete') {
        await manager.delete(ItemEntity, { key: record.key });
      } else {
        await manager.clear(ItemEntity);
        const items = record.pairs.map(([key, value]) => ({ key, value }));
        await manager.save(ItemEntity, items, { chunk: 500 });
      }
      await manager.save(ProgressEntity, { id: 1, log: this.log, position });
    });
    this.applied = position;
  }

  /** The value as of `position`. */
  get(key: string): Promise<{ readonly value: string | undefined; readonly position: number }> {
    return this.inTurn(async () => {
      const found = await this.source.manager.findOneBy(ItemEntity, { key });
      return { value: found?.value, position: this.applied };
    });
  }

  /** All pairs, by their keys. */
  pairs(): Promise<[key: string, value: string][]> {
    return this.inTurn(async () => {
      const items = await this.source.manager.find(ItemEntity, { order: { key: 'ASC' } });
      return items.map(({ key, value }) => [key, value]);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.inTurn(async () => {
      if (this.source.isInitialized) await this.source.destroy();
    });
  }

  /** All use one connection: who asked while a record is applied would see half of it, such as a checkpoint's empty table. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work);
    this.last = turn.catch(() => {});
    return turn;
  }
}

function mismatch(directory: string, found: string, log: string): VarlogError {
  return new VarlogError('LOG_MISMATCH', {
    what: `${directory} belongs to log ${found}, and this is log ${log}`,
    next: 'correct the address or the folder; an empty folder is filled from the log',
  });
}
