import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';

/** How a supervised process came to its end, in words. */
export type Ending = string;

/** A `varlog server` process on this machine that is started again when it dies. */
export interface ChildNode {
  readonly pid: number | undefined;
  /** Asks it to end and waits for that. */
  stop(): Promise<void>;
}

/** Starts that follow one another faster than this mean that the process cannot run at all. */
const QUICK_DEATH_MS = 5_000;
const QUICK_DEATHS_MAX = 3;

/**
 * Runs `command` with `args` until `stop`. Its output goes to `log.jsonl` in `directory`. `ended` hears of
 * every death, and whether the process will be started again.
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
  let quickDeaths = 0;
  let allDone: () => void = () => {};

  const start = (): void => {
    mkdirSync(options.directory, { recursive: true });
    const log = openSync(join(options.directory, 'log.jsonl'), 'a');
    const startedAt = options.now();
    // The channel tells the child when this process is gone, however that came about.
    child = spawn(options.command, [...options.args], { stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    child.once('exit', (code, signal) => {
      child = undefined;
      if (stopping) {
        allDone();
        return;
      }
      quickDeaths = options.now() - startedAt < QUICK_DEATH_MS ? quickDeaths + 1 : 0;
      const again = quickDeaths < QUICK_DEATHS_MAX;
      options.ended(signal === null ? `exit code ${code}` : `signal ${signal}`, again);
      if (again) start();
    });
  };
  start();

  return {
    get pid() {
      return child?.pid;
    },
    stop: () => {
      stopping = true;
      if (child === undefined) return Promise.resolve();
      const done = new Promise<void>((resolve) => {
        allDone = resolve;
      });
      child.kill('SIGTERM');
      return done;
    },
  };
}
