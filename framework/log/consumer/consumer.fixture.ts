import { sleep } from '../../base/index.ts';
import { realClock } from '../../runtime/index.ts';
import { MemoryLog } from '../../testing/index.ts';
import type { RecordLog } from '../client/index.ts';
import type { Consumer } from './index.ts';

export const clock = realClock();

/** So that a test need not wait. */
export const often = { checkpointEveryMs: 5 };

/** The texts `1` … `count`. */
export const range = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${i + 1}`);

/** A log in memory for each test of a suite, and the consumers that it started, which end with it. */
export class ConsumerSetup {
  log!: MemoryLog;
  records!: RecordLog;
  /** They are closed when the test ends. */
  readonly running: Consumer[] = [];

  constructor() {
    beforeEach(() => {
      this.log = new MemoryLog();
      this.records = this.log.records();
    });
    afterEach(async () => {
      for (const it of this.running.splice(0)) await it.close({ drain: false });
    });
  }

  start = (...args: Parameters<RecordLog['process']>): Consumer => {
    const consumer = this.records.process(
      ...(args as Parameters<ReturnType<MemoryLog['records']>['process']>),
    );
    this.running.push(consumer);
    return consumer;
  };
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(clock, 5);
}
