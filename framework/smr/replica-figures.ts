import type { ReplicaStatus } from './replica-status.ts';

/** A figure of a replica, for whatever gathers metrics. */
export interface ReplicaFigure {
  /** In lower case with underscores, the unit last: to be put behind the name of an application. */
  readonly name: string;
  readonly help: string;
  readonly value: (status: ReplicaStatus) => number;
}

const figure = (
  name: string,
  help: string,
  value: (status: ReplicaStatus) => number | boolean,
): ReplicaFigure => ({ name, help, value: (status) => Number(value(status)) });

/** What a replica, or each of many shards, tells in figures: gauges, looked up in its last status. */
export const REPLICA_FIGURES: readonly ReplicaFigure[] = [
  figure(
    'replica_running',
    'Whether the replica follows its log, as far as it knows',
    (it) => it.state === 'running',
  ),
  figure(
    'replica_failed',
    'Whether the replica has ended by an error',
    (it) => it.state === 'failed',
  ),
  figure('replica_position', 'Position of the last entry applied', (it) => it.position),
  figure('replica_foreign', 'Records of others in the log, passed over', (it) => it.foreign),
  figure('replica_skipped', 'Commands passed over by an order', (it) => it.skipped),
  figure('timers_waiting', 'Commands that wait for their time', (it) => it.timers.waiting),
  figure(
    'timer_next_seconds',
    'When the next command is due, in seconds since 1970; 0: none waits',
    (it) => (it.timers.nextAt ?? 0) / 1_000,
  ),
  figure(
    'timer_late_seconds',
    "By how much of the log's time the last command came after it was due",
    (it) => (it.timers.lastLateMs ?? 0) / 1_000,
  ),
  figure('snapshot_position', 'Position of the newest snapshot', (it) => it.snapshotPosition),
  figure(
    'snapshot_failing',
    'Whether the last snapshot could not be kept',
    (it) => it.snapshotError !== undefined,
  ),
];
