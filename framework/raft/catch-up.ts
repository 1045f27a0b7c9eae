import { VarlogError } from '../base/index.ts';
import { type EntryBatch, endOf, type Raft } from './core/index.ts';
import type { RaftStorage } from './storage.ts';

/** Reads from the disk what a member needs that is far behind. */
export class CatchUp {
  private readonly raft: Raft;
  private readonly storage: RaftStorage;
  private readonly schedule: () => void;

  constructor(raft: Raft, storage: RaftStorage, schedule: () => void) {
    this.raft = raft;
    this.storage = storage;
    this.schedule = schedule;
  }

  /** Gives the core entries from `from` on for member `to`. */
  provide(to: number, from: number, bytesMax: number): void {
    const { storage } = this;
    if (from < storage.first) {
      this.give(to, from, []);
    } else if (from > storage.readableEnd) {
      this.raft.provide(to, from, 'later');
    } else {
      const read = storage.read(from, bytesMax);
      if (!(read instanceof Promise)) {
        this.give(to, from, read);
        return;
      }
      read.then(
        (batches) => this.give(to, from, batches),
        (error: unknown) => {
          if (VarlogError.is(error, 'TRIMMED')) this.give(to, from, []);
          else this.raft.provide(to, from, 'later');
        },
      );
    }
  }

  private give(to: number, from: number, batches: readonly EntryBatch[]): void {
    const { log } = this.raft;
    // What was read while the log changed may be of before.
    const stale = batches.findIndex((it) => !log.matches(endOf(it), it.term));
    if (stale === 0) this.raft.provide(to, from, 'later');
    else this.raft.provide(to, from, stale < 0 ? batches : batches.slice(0, stale));
    this.schedule();
  }
}
