import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type HttpApp, HttpStatus, textReply } from 'varlog/node';
import type { ReplicaStatus } from 'varlog/smr';
import type { Readiness } from './readiness.ts';

/** A figure that is looked up whenever somebody asks. */
export interface Figure {
  readonly help: string;
  readonly value: () => number;
}

/** Adds routes to those of an app. */
export type Pages = (app: HttpApp) => void;

/**
 * What operators ask a process: `/livez`, whether a restart would help; `/readyz`, whether it can do its work and why not;
 * `/metrics`, the figures as gauges named `APP_NAME`.
 */
export function operatorPages(
  app: string,
  readiness: Readiness,
  figures: Readonly<Record<string, Figure>>,
): Pages {
  const registry = new Registry();
  // By default its histogram of the event loop's delay wakes the process a hundred times a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 500 });
  const all = { ...figures, ...figuresOf(readiness) };
  for (const [name, { help, value }] of Object.entries(all)) {
    new Gauge({
      name: `${app}_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  }
  return (app) => {
    app.get('/livez', () =>
      readiness.status?.state === 'failed'
        ? textReply(HttpStatus.serviceUnavailable, 'the replica has failed\n')
        : textReply(HttpStatus.ok, 'alive\n'),
    );
    app.get('/readyz', async () => {
      const problems = await readiness.problems();
      if (problems.length === 0) return textReply(HttpStatus.ok, 'ready\n');
      return textReply(HttpStatus.serviceUnavailable, `${problems.join('\n')}\n`);
    });
    app.get('/metrics', async () =>
      textReply(HttpStatus.ok, await registry.metrics(), { 'content-type': registry.contentType }),
    );
  };
}

function figuresOf(readiness: Readiness): Record<string, Figure> {
  const figure = (help: string, value: (status: ReplicaStatus) => number | boolean): Figure => ({
    help,
    value: () => (readiness.status === undefined ? 0 : Number(value(readiness.status))),
  });
  return {
    replica_running: figure(
      'Whether the replica follows its log, as far as it knows',
      (it) => it.state === 'running',
    ),
    replica_failed: figure(
      'Whether the replica has ended by an error',
      (it) => it.state === 'failed',
    ),
    replica_position: figure('Position of the last entry applied', (it) => it.position),
    replica_foreign: figure('Records of others in the log, passed over', (it) => it.foreign),
    replica_skipped: figure('Commands passed over by an order', (it) => it.skipped),
    timers_waiting: figure('Commands that wait for their time', (it) => it.timers.waiting),
    timer_next_seconds: figure(
      'When the next command is due, in seconds since 1970; 0: none waits',
      (it) => (it.timers.nextAt ?? 0) / 1_000,
    ),
    timer_late_seconds: figure(
      "By how much of the log's time the last command came after it was due",
      (it) => (it.timers.lastLateMs ?? 0) / 1_000,
    ),
    snapshot_position: figure('Position of the newest snapshot', (it) => it.snapshotPosition),
    snapshot_failing: figure(
      'Whether the last snapshot could not be kept',
      (it) => it.snapshotError !== undefined,
    ),
  };
}
