import type { ReplicaStatus } from './replica-status.ts';

/** What is the matter with one shard. */
export interface ShardTrouble {
  readonly shard: number;
  /**
   * `failed`, `closed`, `connecting`: its state. `snapshot`: it has no newer snapshot, and `hold`: its log may be trimmed above what
   * it would start from; both while it serves, and tried again.
   */
  readonly kind: 'failed' | 'closed' | 'connecting' | 'snapshot' | 'hold';
  /** Why, where it is known. */
  readonly error?: unknown;
}

/** How all shards fare together. */
export interface ShardsHealth {
  /** The worst that one of them is in; from bad to good: `failed`, `closed`, `connecting`, `running`. */
  readonly state: ReplicaStatus['state'];
  /** What is the matter, the worst first, and of the same kind by the number of the shard. Empty: all is well. */
  readonly troubles: readonly ShardTrouble[];
}

const WORST_FIRST = ['failed', 'closed', 'connecting', 'snapshot', 'hold'] as const;

export function healthOf(statuses: readonly ReplicaStatus[]): ShardsHealth {
  const troubles = statuses.flatMap(troublesOf);
  const rank = ({ kind }: ShardTrouble): number => WORST_FIRST.indexOf(kind);
  troubles.sort((a, b) => rank(a) - rank(b));
  const worst = troubles[0]?.kind;
  const state = worst === undefined || worst === 'snapshot' || worst === 'hold' ? 'running' : worst;
  return { state, troubles };
}

/** Whether an operator would be told the same. */
export function sameHealth(a: ShardsHealth, b: ShardsHealth): boolean {
  return (
    a.troubles.length === b.troubles.length &&
    a.troubles.every((it, i) => {
      const other = b.troubles[i]!;
      return it.shard === other.shard && it.kind === other.kind && it.error === other.error;
    })
  );
}

function troublesOf(status: ReplicaStatus, shard: number): ShardTrouble[] {
  const { state, error, snapshotError, holdError } = status;
  const why = (cause: unknown) => (cause === undefined ? {} : { error: cause });
  const found: ShardTrouble[] = [];
  if (state !== 'running') found.push({ shard, kind: state, ...why(error) });
  if (snapshotError !== undefined) found.push({ shard, kind: 'snapshot', error: snapshotError });
  if (holdError !== undefined) found.push({ shard, kind: 'hold', error: holdError });
  return found;
}
