import { type Followed, type LogCallOptions, type OrderedLog, VarlogError } from '../base/index.ts';

/** A log as one sees it who may not write: nothing is appended, held, trimmed or compacted, and nobody is led. */
export class ReadOnlyLog implements OrderedLog {
  private readonly log: OrderedLog;

  constructor(log: OrderedLog) {
    this.log = log;
  }

  identity(options?: LogCallOptions): Promise<string> {
    return this.log.identity(options);
  }

  follow(from: number, options?: { signal?: AbortSignal }): AsyncIterable<Followed> {
    return this.log.follow(from, options);
  }

  tail(options?: LogCallOptions): Promise<number> {
    return this.log.tail(options);
  }

  append(): Promise<number> {
    return Promise.reject(writesNothing());
  }
}

export function writesNothing(): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'a replica that is read-only writes nothing into the log',
    next: 'execute at a replica that was started without `readOnly`',
    outcome: 'notAppended',
  });
}
