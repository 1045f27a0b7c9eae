import { type Headers, VarlogError } from '../base/index.ts';
import {
  type AppendCondition,
  checkCondition,
  KeyTable,
  keyHash,
  PRODUCER_LIMITS,
} from '../log/core/index.ts';

/** What appends to a log in memory may expect of a log stream, decided as its primary does. */
export class MemoryConditions {
  private readonly keys = new Map<number, KeyTable>();
  private token = 0;

  /** Throws `CONDITION_FAILED` when `condition` does not hold of a log stream that ends at LLSN `end`. */
  check(logStreamId: number, condition: AppendCondition | undefined, end: number): void {
    if (condition === undefined) return;
    const keys = this.keysOf(logStreamId);
    checkCondition(condition, { logStreamId, end, keys, fence: this.token });
  }

  /** Whether `condition` holds of a log stream that ends at LLSN `end`. */
  hold(logStreamId: number, condition: AppendCondition | undefined, end: number): boolean {
    try {
      this.check(logStreamId, condition, end);
      return true;
    } catch (error) {
      if (VarlogError.is(error) && error.outcome === 'notAppended') return false;
      throw error;
    }
  }

  /** A record was stored. */
  note(headers: Headers | undefined, at: { logStream: number; llsn: number }): void {
    const key = headers?.find(([name]) => name === '')?.[1];
    const keys = this.keysOf(at.logStream);
    if (key !== undefined) keys.note(keyHash(key), at.llsn);
    keys.ordered(at.llsn);
  }

  private keysOf(logStream: number): KeyTable {
    const found = this.keys.get(logStream) ?? new KeyTable(PRODUCER_LIMITS.keys);
    this.keys.set(logStream, found);
    return found;
  }

  /** Sets a fencing token, or the next one; resolves with it. Throws `CONDITION_FAILED` when a higher one was set. */
  fence(wanted: number | undefined): number {
    const token = wanted ?? this.token + 1;
    if (token < this.token) {
      throw new VarlogError('CONDITION_FAILED', {
        what: `the log is fenced by token ${this.token}, and ${token} is older`,
        next: 'somebody took over since: stop, or fence anew with the next token',
        details: { condition: 'fence', expected: token, actual: this.token },
        outcome: 'notAppended',
      });
    }
    this.token = token;
    return token;
  }
}
