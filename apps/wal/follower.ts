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

  /** `directory`: of this process alone. Rejects as `LocalState.open`. */
  static async open(topic: WalTopic, directory: string): Promise<WalFollower> {
    return new WalFollower(topic, await LocalState.open(directory, await topic.log.identity()));
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
