import { VarlogError } from '../../base/index.ts';
import { refuseHostCalls } from './host-calls.ts';

/** What code under simulation takes instead. */
const INSTEAD = {
  'Date.now()': 'clock.wall() of the ports, or context.time in a machine',
  'performance.now()': 'clock.now() of the ports, or context.time in a machine',
  'Math.random()': 'random.fraction() of the ports, or context.random() in a machine',
  'crypto.randomUUID()': 'random.id() of the ports, or context.random() in a machine',
  'crypto.getRandomValues()': 'random.below(limit) of the ports, or context.random() in a machine',
  'setTimeout()':
    'clock.after(ms, ring) of the ports, or context.schedule(at, command) in a machine',
  'setInterval()':
    'clock.after(ms, ring) of the ports, or context.schedule(at, command) in a machine',
  'setImmediate()': 'clock.defer(run) of the ports',
  'AbortSignal.timeout()': 'timeoutMs, or clock.after and an AbortController',
} as const;

/** A simulation that goes on: whether it guards the machine, and how it is told that nobody waits for it any more. */
interface HostRun {
  readonly guarded: boolean;
  abandoned(reason: VarlogError): void;
}

const runs = new Set<HostRun>();
let restore: (() => void) | undefined;

/**
 * Notes that a simulation runs until the returned function is called, and that {@link abandonRuns} has to tell it.
 * Where `guarded`, the machine's time and randomness throw until then: code under simulation that uses them would not
 * be reproducible. Runs may overlap.
 */
export function beginRun(run: HostRun): () => void {
  runs.add(run);
  guardWhileNeeded();
  return () => {
    runs.delete(run);
    guardWhileNeeded();
  };
}

/**
 * Gives up every simulation that still runs in this process, and lifts its guard at once. For the end of a test: one
 * that took too long leaves its world running, and the tests after it without a clock.
 */
export function abandonRuns(): void {
  const active = [...runs];
  runs.clear();
  guardWhileNeeded();
  const reason = new VarlogError('CANCELLED', {
    what: 'this simulation was given up: the test that ran it has ended',
    next: 'give the test more time, or play fewer seeds in it',
  });
  for (const run of active) run.abandoned(reason);
}

function guardWhileNeeded(): void {
  const needed = [...runs].some((it) => it.guarded);
  if (needed) restore ??= refuseHostCalls(INSTEAD, leaked);
  else {
    restore?.();
    restore = undefined;
  }
}

function leaked(call: string, instead: string): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `${call} was called in a simulation`,
    because: 'it would make the run impossible to repeat',
    next: `use ${instead}`,
  });
}
