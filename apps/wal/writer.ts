import { VarlogError } from 'varlog/log';
import { catchUp } from './catch-up.ts';
import { LocalState } from './local-state.ts';
import type { WalRecord, WalTopic } from './wal-topic.ts';

/** Writes that wait for those before them. */
const WAITING_MAX = 1_000;

/** The one that writes. It takes over when it is opened: whoever wrote before is refused by the log from then on. */
export class WalWriter implements AsyncDisposable {
  private readonly topic: WalTopic;
  private readonly state: LocalState;
  private readonly token: number;
  private stopped: VarlogError | undefined;
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();

  private constructor(topic: WalTopic, state: LocalState, token: number) {
    this.topic = topic;
    this.state = state;
    this.token = token;
  }

  /** `directory`: of this process alone; one that is empty is filled from the log. Rejects as `LocalState.open`, `Topic.fence`, `Topic.read`. */
  static async open(topic: WalTopic, directory: string): Promise<WalWriter> {
    const state = await LocalState.open(directory, await topic.log.identity());
    try {
      // In this order: behind the fence nothing comes any more that the reading would miss.
      const token = await topic.records.fence();
      await catchUp(state, (from) => topic.records.read({ from }));
      return new WalWriter(topic, state, token);
    } catch (error) {
      await state[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What is acknowledged. Another process may have taken over since: this does not ask. */
  async get(key: string): Promise<string | undefined> {
    return (await this.state.get(key)).value;
  }

  /**
   * Resolves with the position in the log when the value is durable and applied. Rejects with an outcome of `notAppended`
   * where nothing happened. After any other error, and with `FAILED_PRECONDITION` when another writer took over, this
   * one has stopped.
   */
  put(key: string, value: string): Promise<number> {
    return this.inTurn(() => this.write({ op: 'put', key, value }));
  }

  /** As {@link put}. */
  delete(key: string): Promise<number> {
    return this.inTurn(() => this.write({ op: 'delete', key }));
  }

  /**
   * Writes all pairs as one record, and removes the records before it from the log; resolves with its position.
   * Rejects as {@link put}, with `ENTRY_TOO_LARGE` where they do not fit into a record, and as `Topic.trim`.
   */
  checkpoint(): Promise<number> {
    return this.inTurn(async () => {
      const position = await this.write({ op: 'checkpoint', pairs: await this.state.pairs() });
      if (position > 1) await this.topic.trim(position - 1);
      return position;
    });
  }

  /** Waits for the write that is under way, and refuses those that wait for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stopped ??= stoppedBecause('it is closed');
    await this.last;
    await this.state[Symbol.asyncDispose]();
  }

  /** One after the other: so a checkpoint is what all records before it make. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.stopped !== undefined) throw this.stopped;
    if (this.waiting >= WAITING_MAX) {
      throw new VarlogError('RESOURCE_EXHAUSTED', {
        what: `${WAITING_MAX} writes are waiting`,
        next: 'wait for some of them before you begin more',
        outcome: 'notAppended',
      });
    }
    this.waiting++;
    const turn = this.last.then(work);
    this.last = turn.catch(() => {}).then(() => this.waiting--);
    return turn;
  }

  private async write(record: WalRecord): Promise<number> {
    if (this.stopped !== undefined) throw this.stopped;
    try {
      const { glsn } = await this.topic.records.append(record, { expect: { fence: this.token } });
      await this.state.apply(record, glsn);
      return glsn;
    } catch (error) {
      if (VarlogError.is(error, 'CONDITION_FAILED')) {
        this.stopped = stoppedBecause('another writer took over', error);
        throw this.stopped;
      }
      // A write of which nobody knows, or that only the log has: what came now would be applied over a gap.
      if (!VarlogError.is(error) || error.outcome !== 'notAppended') {
        this.stopped = stoppedBecause('the outcome of a write before is not known', error);
      }
      throw error;
    }
  }
}

function stoppedBecause(because: string, cause?: unknown): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'this writer has stopped, and nothing was written',
    because,
    next: 'open it anew to take over; it reads first what the log has',
    outcome: 'notAppended',
    cause,
  });
}
