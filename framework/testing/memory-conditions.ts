import { type Headers, VarlogError } from '../base/index.ts';
import {
  type AppendCondition,
  checkCondition,
  KeyTable,
  keyHash,
  PRODUCER_LIMITS,
} from '../log/core/index.ts';

const LOG_STREAM = 1;

/** What appends to a log in memory may expect of it, decided as the primary of a log stream does. */
export class MemoryConditions {
  private readonly keys = new KeyTable(PRODUCER_LIMITS.keys);
  private token = 0;

  /** Throws `CONDITION_FAILED` when `condition` does not hold of the log that ends at `last`. */
  check(condition: AppendCondition | undefined, last: number): void {
    if (condition === undefined) return;
    const { keys, token: fence } = this;
    checkCondition(condition, { logStreamId: LOG_STREAM, end: last, keys, fence });
  }

  /** Whether `condition` holds of the log that ends at `last`. */
  hold(condition: AppendCondition | undefined, last: number): boolean {
    try {
      this.check(condition, last);
      return true;
    } catch (error) {
      if (VarlogError.is(error) && error.outcome === 'notAppended') return false;
      throw error;
    }
  }

  /** A record was stored at `position`. */
  note(headers: Headers | undefined, position: number): void {
    const key = headers?.find(([name]) => name === '')?.[1];
    if (key !== undefined) this.keys.note(keyHash(key), position);
    this.keys.ordered(position);
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
