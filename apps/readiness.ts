/** The part of a replica that tells how it fares. */
export interface Observed {
  readonly status$: { subscribe(next: (status: ObservedStatus) => void): unknown };
  /** Resolves when all that was acknowledged before is applied here. */
  caughtUp(options: { timeoutMs: number }): Promise<void>;
}

interface ObservedStatus {
  readonly state: string;
  readonly position?: number;
  readonly error?: unknown;
  readonly snapshotError?: unknown;
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
  private status: ObservedStatus = { state: 'running' };
  private noSnapshotSince: number | undefined;

  constructor(replica: Observed, limits: Partial<ReadinessLimits> = {}) {
    this.replica = replica;
    this.limits = { levelMs: 2_000, snapshotMs: 600_000, ...limits };
    replica.status$.subscribe((status) => {
      this.status = status;
      if (status.snapshotError === undefined) this.noSnapshotSince = undefined;
      else this.noSnapshotSince ??= performance.now();
    });
  }

  /** Whether the replica has ended by an error: nothing but a restart helps. */
  get hasFailed(): boolean {
    return this.status.state === 'failed';
  }

  get snapshotsFail(): boolean {
    return this.noSnapshotSince !== undefined;
  }

  /** What keeps the replica from serving, each in a sentence; empty when it is ready. Asks the log. */
  async problems(): Promise<string[]> {
    const { state, error } = this.status;
    if (state === 'failed') return [`the replica has failed and serves nothing: ${textOf(error)}`];
    if (state === 'closed') return ['the replica is closed'];
    const found: string[] = [];
    try {
      await this.replica.caughtUp({ timeoutMs: this.limits.levelMs });
    } catch (cause) {
      const why = state === 'connecting' && error !== undefined ? error : cause;
      found.push(`the log does not answer, or this replica is behind it: ${textOf(why)}`);
    }
    const { noSnapshotSince } = this;
    if (noSnapshotSince !== undefined) {
      const ms = performance.now() - noSnapshotSince;
      if (ms >= this.limits.snapshotMs)
        found.push(
          `no snapshot was kept for ${Math.round(ms / 1_000)} s: ${textOf(this.status.snapshotError)}`,
        );
    }
    return found;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
