import { VarlogError } from '../../base/index.ts';
import { refuseHostCalls } from './host-calls.ts';

/** What a machine takes instead. */
const INSTEAD = {
  'Date.now()': 'context.time',
  'performance.now()': 'context.time',
  'process.hrtime()': 'context.time',
  'Math.random()': 'context.random()',
  'crypto.randomUUID()': 'context.random()',
  'crypto.getRandomValues()': 'context.random()',
  'setTimeout()': 'context.schedule()',
  'setInterval()': 'context.schedule()',
  'setImmediate()': 'context.schedule()',
  'queueMicrotask()': 'commands',
  'AbortSignal.timeout()': 'context.schedule()',
  'fetch()': 'commands that carry what was fetched',
} as const;

/**
 * Does the work, which must be synchronous, and has every call of this machine's time, timers and randomness throw
 * meanwhile, with a name of the call and of what to use instead.
 */
export function withoutHost<T>(work: () => T): T {
  const restore = refuseHostCalls(INSTEAD, banned);
  try {
    return work();
  } finally {
    restore();
  }
}

function banned(call: string, instead: string): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `${call} was called while a command was applied`,
    because: 'it differs from replica to replica, and so would their states',
    next: `use ${instead}`,
  });
}
