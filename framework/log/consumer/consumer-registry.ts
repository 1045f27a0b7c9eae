import type { ConsumerBegin, ConsumerStep, ParkedRecord } from '../core/index.ts';

/** What is known of a consumer where it is registered. */
export interface RegisteredConsumer {
  readonly name: string;
  readonly epoch: number;
  /** The position with which it began. */
  readonly began: number;
  /** Everything up to here is done, but for what is parked. */
  readonly position: number;
  readonly parkedCount: number;
  /** Ascending by GLSN. */
  readonly parked: readonly ParkedRecord[];
}

/** How long a call may take. */
interface Limits {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** Where the consumers of a log are known by name, with their holds and what they have parked. */
export interface ConsumerRegistry {
  /** Which log, of all that were ever made. */
  readonly log: string;
  /**
   * Begins a life and resolves with its epoch: the same one where the same `owner` asks again. All earlier lives are
   * fenced. `BEYOND_TAIL` and `TRIMMED` for a beginning that is not there.
   */
  open(
    life: { readonly name: string; readonly owner: string; readonly begin: ConsumerBegin },
    limits: Limits,
  ): Promise<number>;
  /** Takes what a life says. `CONSUMER_FENCED`, `NOT_FOUND` once the consumer was removed, `FAILED_PRECONDITION` when too much is parked. */
  advance(step: ConsumerStep, limits: Limits): Promise<void>;
  /** The consumer, and the last position of the log. With `due`, of what is parked only what is to be replayed. */
  look(
    name: string,
    limits: Limits & { readonly due?: boolean },
  ): Promise<{ readonly consumer: RegisteredConsumer | undefined; readonly last: number }>;
}
