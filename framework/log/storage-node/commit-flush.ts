import { type Clock, type Timer, VarlogError } from '../../base/index.ts';
import type { ReplicaCore } from '../core/index.ts';
import type { ReplicaStorage } from './replica-storage.ts';

/** Commits go to the disk this long after they came, at the latest. */
const FLUSH_MS = 1_000;

/** Makes commits durable, now and then: a lost one can be asked for again. */
export class CommitFlush {
  private readonly clock: Clock;
  private readonly core: ReplicaCore;
  private readonly storage: ReplicaStorage;
  private readonly host: { flushed(): void; failed(error: unknown): void };
  private timer: Timer | undefined;

  constructor(
    clock: Clock,
    core: ReplicaCore,
    storage: ReplicaStorage,
    host: { flushed(): void; failed(error: unknown): void },
  ) {
    this.clock = clock;
    this.core = core;
    this.storage = storage;
    this.host = host;
  }

  later(): void {
    this.timer ??= this.clock.after(FLUSH_MS, () => {
      this.timer = undefined;
      this.flush().then(
        () => this.host.flushed(),
        (error: unknown) => {
          // Cut off while it was waited for: there is nothing to flush then.
          if (!VarlogError.is(error, 'CANCELLED')) this.host.failed(error);
        },
      );
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** Behind their records: a commit that is on disk without them would count as known, and be lost. */
  private async flush(): Promise<void> {
    await this.storage.records.flushed(this.core.committedEnd);
    await this.storage.commits.flush();
    await this.storage.producers.keepUp();
  }
}
