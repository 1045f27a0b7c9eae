import { reasonOf } from 'varlog/log';
import type { ReplicaStatus } from 'varlog/smr';

/** The part of a replica that tells how it fares. */
export interface Observed {
  readonly status$: { subscribe(next: (status: ReplicaStatus) => void): unknown };
  /** Resolves when all that was acknowledged before is applied here. */
  caughtUp(options: { timeoutMs: number }): Promise<void>;
}

export interface ReadinessLimits {
  /** Being level with the log may take so long. Default: 2,000. */
  levelMs: number;
  /** Snapshots may fail for so long. Default: ten minutes. */
  snapshotMs: number;
}

/** Whether a replica can do its work, and why not. */
export class Readiness {
  private readonly replica: Observed;
  private readonly limits: ReadinessLimits;
  private readonly other: () => Promise<void>;
  private now: ReplicaStatus | undefined;
  private noSnapshotSince: number | undefined;

  /** `other`: rejects with why something else that the replica needs, such as a database, does not answer. */
  constructor(
    replica: Observed,
    limits: Partial<ReadinessLimits> = {},
    other: () => Promise<void> = async () => {},
  ) {
    this.replica = replica;
    this.other = other;
    this.limits = { levelMs: 2_000, snapshotMs: 600_000, ...limits };
    replica.status$.subscribe((status) => {
      this.now = status;
      if (status.snapshotError === undefined) this.noSnapshotSince = undefined;
      else this.noSnapshotSince ??= performance.now();
    });
  }

  /** What the replica last said. */
  get status(): ReplicaStatus | undefined {
    return this.now;
  }

  /** What keeps the replica from serving, each in a sentence; empty when it is ready. Asks the log. */
  async problems(): Promise<string[]> {
    const { state, error, snapshotError } = this.now ?? {};
    if (state === 'failed')
      return [`the replica has failed and serves nothing: ${reasonOf(error)}`];
    if (state === 'closed') return ['the replica is closed'];
    const found: string[] = [];
    try {
      await this.replica.caughtUp({ timeoutMs: this.limits.levelMs });
    } catch (cause) {
      const why = state === 'connecting' && error !== undefined ? error : cause;
      found.push(`the log does not answer, or this replica is behind it: ${reasonOf(why)}`);
    }
    await this.other().catch((cause: unknown) => found.push(reasonOf(cause)));
    const { noSnapshotSince } = this;
    if (noSnapshotSince !== undefined) {
      const ms = performance.now() - noSnapshotSince;
      if (ms >= this.limits.snapshotMs)
        found.push(
          `no snapshot was kept for ${Math.round(ms / 1_000)} s: ${reasonOf(snapshotError)}`,
        );
    }
    return found;
  }
}
