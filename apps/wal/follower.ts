import { VarlogError } from 'varlog/log';
import { catchUp } from './catch-up.ts';
import { LocalState } from './local-state.ts';
import type { WalTopic } from './wal-topic.ts';

/** A value as a follower has it. */
export interface FollowedValue {
  readonly value: string | undefined;
  /** How many records the log had beyond those that are applied here, when it was asked. 0: the value is the newest. */
  readonly behind: number;
}

/** Follows the log, serves reads and says how far behind they are. */
export class WalFollower implements AsyncDisposable {
  /** Rejects when it cannot go on; it has to be opened anew then. */
  readonly failed: Promise<never>;
  private readonly topic: WalTopic;
  private readonly state: LocalState;
  private readonly closing = new AbortController();
  private readonly following: Promise<void>;
  private failure: { readonly error: unknown } | undefined;

  private constructor(topic: WalTopic, state: LocalState) {
    this.topic = topic;
    this.state = state;
    const { signal } = this.closing;
    this.following = catchUp(state, (from) => topic.records.tail({ from, signal }));
    this.failed = new Promise((_, reject) => {
      this.following.catch((error: unknown) => {
        this.failure = { error };
        reject(error);
      });
    });
    // Whoever does not look at it is told by every read.
    this.failed.catch(() => {});
  }

  /** `directory`: of this process alone. Rejects as `LocalState.open`, and with `BEYOND_TAIL` where it has what the log has not. */
  static async open(topic: WalTopic, directory: string): Promise<WalFollower> {
    const state = await LocalState.open(directory, await topic.log.identity());
    try {
      const last = await topic.log.tail();
      // It would wait for the records behind those, and call what nobody else has the newest.
      if (state.position > last) throw beyond(directory, state.position, last);
      return new WalFollower(topic, state);
    } catch (error) {
      await state[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Rejects with the reason when it cannot follow, and when the log does not answer. */
  async get(key: string): Promise<FollowedValue> {
    if (this.failure !== undefined) throw this.failure.error;
    // The end is asked for first: what is applied meanwhile is not behind it.
    const last = await this.topic.log.tail();
    const { value, position } = await this.state.get(key);
    return { value, behind: Math.max(0, last - position) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort();
    await this.following.catch(() => {});
    await this.state[Symbol.asyncDispose]();
  }
}

function beyond(directory: string, position: number, last: number): VarlogError {
  return new VarlogError('BEYOND_TAIL', {
    what: `${directory} is at position ${position}, and the log ends at ${last}`,
    because: 'the log lost its end, or was restored from an older copy',
    next: 'restore the whole log, or move the folder away: an empty one is filled from the log',
    details: { position, last },
  });
}
