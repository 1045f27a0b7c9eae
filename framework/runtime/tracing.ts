import { tracingChannel } from 'node:diagnostics_channel';
import type { Tracing } from '../base/index.ts';

const channelOf = (operation: string) => tracingChannel<string, object>(`varlog:${operation}`);

const channels = new Map<string, ReturnType<typeof channelOf>>();

function channel(operation: string): ReturnType<typeof channelOf> {
  const known = channels.get(operation) ?? channelOf(operation);
  channels.set(operation, known);
  return known;
}

/**
 * Operations as `tracingChannel('varlog:append')` of `node:diagnostics_channel` tells them: `start` and `asyncEnd` in the
 * context of the caller, with the facts, and `result` or `error` in the end.
 */
export const realTracing: Tracing = {
  listens: (operation) => channel(operation).hasSubscribers,
  trace: (operation, facts, work) => channel(operation).tracePromise(work, facts),
};
