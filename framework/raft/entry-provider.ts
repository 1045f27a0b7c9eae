import { VarlogError } from '../base/index.ts';
import { type EntryBatch, endOf, type Raft } from './core/index.ts';
import type { RaftStorage } from './storage.ts';

/** Reads from the disk what a member needs that is far behind. */
export class EntryProvider {
  private readonly raft: Raft;
  private readonly storage: RaftStorage;
  private readonly schedule: () => void;
  private readonly onUnreadable: (from: number, to: number, error: unknown) => void;
  private reported = 0;

  constructor(
    raft: Raft,
    storage: RaftStorage,
    options: {
      /** The core has something to do. */
      schedule: () => void;
      /** Entry `from`, which member `to` needs, is damaged here; told once for each entry. */
      onUnreadable: (from: number, to: number, error: unknown) => void;
    },
  ) {
    this.raft = raft;
    this.storage = storage;
    this.schedule = options.schedule;
    this.onUnreadable = options.onUnreadable;
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
          else this.replace(to, from, error);
        },
      );
    }
  }

  /**
   * What cannot be read here comes from elsewhere: from the snapshot, if it stands for it, or from another leader.
   * Otherwise the member that needs it would wait for ever.
   */
  private replace(to: number, from: number, error: unknown): void {
    const { raft } = this;
    if (this.reported !== from) this.onUnreadable(from, to, error);
    this.reported = from;
    if (raft.log.snapshotIndex >= from) {
      this.give(to, from, []);
      return;
    }
    const matchOf = (it: number): number => raft.leadership?.progress.get(it)?.match ?? 0;
    const others = raft.configuration.voters.filter((it) => it !== to && it !== raft.id);
    const [heir] = others.sort((a, b) => matchOf(b) - matchOf(a));
    if (heir !== undefined) raft.transferLeadership(heir);
    raft.provide(to, from, 'later');
    this.schedule();
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
