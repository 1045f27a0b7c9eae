import { type Clock, type Lanes, type Timer, VarlogError } from '../../base/index.ts';
import type { ReplicaCore } from '../core/index.ts';
import type { ReplicaStorage } from './replica-storage.ts';

/**
 * Commits go to the disk about this long after they came: of many log streams that are written to now and then, each pays
 * a write for it, and until then the metadata repository keeps what a restart may ask for.
 */
const FLUSH_MS = 5_000;

/** What a flush needs of the replica and of its node. */
interface FlushHost {
  /** Of all replicas of a node so many are flushed at once. */
  readonly lanes: Lanes<number>;
  flushed(): void;
  failed(error: unknown): void;
}

/** Makes commits durable, now and then: a lost one can be asked for again. */
export class CommitFlush {
  private readonly clock: Clock;
  private readonly core: ReplicaCore;
  private readonly storage: ReplicaStorage;
  private readonly host: FlushHost;
  private timer: Timer | undefined;

  constructor(clock: Clock, core: ReplicaCore, storage: ReplicaStorage, host: FlushHost) {
    this.clock = clock;
    this.core = core;
    this.storage = storage;
    this.host = host;
  }

  later(): void {
    this.timer ??= this.clock.after(FLUSH_MS, () => {
      this.timer = undefined;
      const flushed = this.host.lanes.run(undefined, () => this.flush());
      flushed.then(
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
