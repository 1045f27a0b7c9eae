import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type HttpApp, HttpStatus, textReply } from 'varlog/node';
import { REPLICA_FIGURES, type ReplicaFigure } from 'varlog/smr';
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
  const look = ({ help, value }: ReplicaFigure): Figure => ({
    help,
    value: () => (readiness.status === undefined ? 0 : value(readiness.status)),
  });
  return Object.fromEntries(REPLICA_FIGURES.map((it) => [it.name, look(it)]));
}
