import type { ServerResponse } from 'node:http';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { sendText } from './http.ts';
import type { Readiness } from './readiness.ts';

/** A figure that is looked up whenever somebody asks. */
export interface Figure {
  readonly help: string;
  readonly value: () => number;
}

/** Answers a path, or says that there is nothing. */
export type Pages = (path: string, response: ServerResponse) => Promise<boolean>;

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
  const all: Record<string, Figure> = {
    ...figures,
    replica_failed: {
      help: 'Whether the replica has ended by an error',
      value: () => (readiness.hasFailed ? 1 : 0),
    },
    snapshots_failing: {
      help: 'Whether the last snapshot could not be kept',
      value: () => (readiness.snapshotsFail ? 1 : 0),
    },
  };
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
  return async (path, response) => {
    if (path === '/livez') {
      if (readiness.hasFailed) sendText(response, 503, 'the replica has failed\n');
      else sendText(response, 200, 'alive\n');
    } else if (path === '/readyz') {
      const problems = await readiness.problems();
      if (problems.length === 0) sendText(response, 200, 'ready\n');
      else sendText(response, 503, `${problems.join('\n')}\n`);
    } else if (path === '/metrics') {
      const text = await registry.metrics();
      sendText(response, 200, text, { 'content-type': registry.contentType });
    } else {
      return false;
    }
    return true;
  };
}
