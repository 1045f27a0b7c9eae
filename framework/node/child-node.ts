import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../base/index.ts';
import { makePathSync } from '../runtime/index.ts';

/** How a supervised process came to its end, in words. */
export type Ending = string;

/** A `varlog server` process on this machine that is started again when it dies. */
export interface ChildNode {
  readonly pid: number | undefined;
  /** Whether the process that runs now has bound its addresses. */
  readonly isListening: boolean;
  /** Asks it to end and waits for that. */
  stop(): Promise<void>;
}

/** What a node tells the process that started it, once it has bound its addresses. */
export const LISTENING = 'varlog: listening';

/** Starts that follow one another faster than this mean that the process cannot run at all. */
const QUICK_DEATH_MS = 5_000;
const QUICK_DEATHS_MAX = 3;
/** One that was asked to end and does not is killed after so long. */
const STOP_MS = 10_000;

/**
 * Runs `command` with `args` until `stop`. Its output goes to `log.jsonl` in `directory`. `ended` hears of
 * every death, and whether the process will be started again. It has a process group of its own: Ctrl-C in the shell is
 * for whoever supervises it, and not a death.
 */
export function superviseNode(options: {
  command: string;
  args: readonly string[];
  directory: string;
  now: () => number;
  ended: (how: Ending, again: boolean) => void;
}): ChildNode {
  let child: ChildProcess | undefined;
  let stopping = false;
  let listening = false;
  let quickDeaths = 0;
  let allDone: () => void = () => {};

  const died = (how: Ending, startedAt: number): void => {
    child = undefined;
    listening = false;
    if (stopping) {
      allDone();
      return;
    }
    quickDeaths = options.now() - startedAt < QUICK_DEATH_MS ? quickDeaths + 1 : 0;
    const again = quickDeaths < QUICK_DEATHS_MAX;
    options.ended(how, again);
    if (again) start();
  };

  const start = (): void => {
    const startedAt = options.now();
    try {
      makePathSync(options.directory);
      const log = openSync(join(options.directory, 'log.jsonl'), 'a');
      // The channel tells the child when this process is gone, however that came about.
      const started = spawn(options.command, [...options.args], {
        stdio: ['ignore', log, log, 'ipc'],
        detached: true,
      });
      closeSync(log);
      child = started;
      started.on('message', (message) => {
        if (child === started && message === LISTENING) listening = true;
      });
      const gone = (how: Ending): void => {
        if (child === started) died(how, startedAt);
      };
      started.once('exit', (code, signal) =>
        gone(signal === null ? `exit code ${code}` : `signal ${signal}`),
      );
      // One that could not be started at all has no exit.
      started.on('error', (error) => {
        if (started.pid === undefined) gone(error.message);
      });
    } catch (error) {
      died(reasonOf(error), startedAt);
    }
  };
  start();

  return {
    get pid() {
      return child?.pid;
    },
    get isListening() {
      return listening;
    },
    stop: () => {
      stopping = true;
      if (child === undefined) return Promise.resolve();
      const asked = child;
      const done = new Promise<void>((resolve) => {
        const kill = setTimeout(() => asked.kill('SIGKILL'), STOP_MS);
        allDone = () => {
          clearTimeout(kill);
          resolve();
        };
      });
      asked.kill('SIGTERM');
      return done;
    },
  };
}
