import type { OptionNames } from '../base/index.ts';
import type { ForkOptions } from './fork.ts';
import type { ReplayOptions } from './replay.ts';
import type { ReplayRange } from './replayed-machine.ts';
import type { ReplicaOptions } from './replica-options.ts';
import type { ShadowOptions } from './shadow.ts';
import type { ShardOptions } from './shards.ts';

/** Of a definition of a machine, which may be spread into the options. */
type Spread = { readonly make?: unknown };

/** What all replicas take, wherever their state lies. */
export const COMMON_NAMES = {
  machine: true,
  log: true,
  name: true,
  codec: true,
  trimLog: true,
  readOnly: true,
  callTimeoutMs: true,
  queueBytesMax: true,
  changesBytesMax: true,
  sessions: true,
  requests: true,
  timers: true,
  timeLeapMaxMs: true,
  ports: true,
};

/** What `startReplica` takes. */
export const REPLICA_NAMES: OptionNames<
  ReplicaOptions<never, never, never, never> & { ports: never } & Spread
> = {
  ...COMMON_NAMES,
  snapshots: true,
  snapshotEvery: true,
  checkEvery: true,
  alone: true,
  onApplied: true,
  make: false,
};

const { log: _log, alone: _alone, ...shared } = REPLICA_NAMES;

/** What `startShards` takes. */
export const SHARDS_NAMES: OptionNames<
  ShardOptions<never, never, never, never> & { logs: never; ports: never } & Spread
> = { ...shared, logs: true, keyOf: true };

/** What `startFork` takes; what else a replica takes it refuses with the reason. */
export const FORK_NAMES: OptionNames<
  ReplicaOptions<never, never, never, never> &
    ForkOptions<never, never, never, never> & { ports: never } & Spread
> = {
  ...REPLICA_NAMES,
  snapshots: false,
  snapshotEvery: false,
  trimLog: false,
  checkEvery: false,
  readOnly: false,
  at: true,
  from: true,
  forkBytesMax: true,
  signal: true,
};

const SOURCE_NAMES: OptionNames<ReplayRange> = { log: true, from: true, signal: true, ports: true };

/** What `replay` takes. */
export const REPLAY_NAMES: OptionNames<ReplayOptions & ReplayRange> = {
  ...SOURCE_NAMES,
  machine: true,
  against: true,
  forkAt: true,
  to: true,
  stateEvery: true,
};

/** What `startShadow` takes. */
export const SHADOW_NAMES: OptionNames<ShadowOptions & ReplayRange> = {
  ...SOURCE_NAMES,
  machine: true,
  against: true,
  forkAt: true,
  stateEvery: true,
};

/** What `why` takes. */
export const WHY_NAMES: OptionNames<ReplayRange & { machine: never; key: never; to: never }> = {
  ...SOURCE_NAMES,
  machine: true,
  key: true,
  to: true,
};
