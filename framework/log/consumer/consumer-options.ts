import {
  checkCount,
  checkFunctions,
  checkNames,
  checkSignal,
  checkWord,
  type OptionNames,
  VarlogError,
} from '../../base/index.ts';
import type { Entry } from '../client/entry.ts';
import type { FlowLimits } from '../client/entry-observable.ts';
import { type From, isAtTime } from '../client/position-option.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

/** What becomes of a record at which the handler has failed as often as it may. */
export type OnHandlerError = 'stop' | 'skip' | 'park';

/** How a consumer works. */
export interface ConsumerOptions<T = Uint8Array> extends FlowLimits {
  /**
   * By this it is known again: 1 to 200 characters. One that is started while another of its name runs takes over, and
   * the other stops with `CONSUMER_FENCED`.
   */
  name: string;
  /**
   * Where it begins when it is new: a GLSN is included. With `{ time }` it is given the first record with that timestamp or a
   * later one, and all that the topic has behind that: also what another log stream's clock has as a little earlier.
   * Default `'start'`.
   */
  from?: From;
  /** Records that are worked on at a time. Default 1: one after the other. */
  concurrency?: number;
  /**
   * With `concurrency`: what is kept in order. `'key'`: records of one key; `'logStream'`: those of one log stream; or
   * what a function says of a record, `undefined` for no order. Without it, none.
   */
  orderBy?: 'key' | 'logStream' | ((entry: Entry<T>) => unknown);
  /** How often a record is tried, with growing waits between, before `onError` decides. Default 5. */
  attempts?: number;
  /**
   * What becomes of a record then. `stop`: the consumer stops, and begins with it when it is started again. `skip`: it is
   * passed over. `park`: it is put aside durably, for `varlog consumer replay`. Default `stop`.
   */
  onError?: OnHandlerError;
  /** How often the checkpoint is saved, where that is not done with each record, in milliseconds. Default 1,000. */
  checkpointEveryMs?: number;
  /** Ends it as `close()` does. */
  signal?: AbortSignal;
}

/** Where the checkpoint is kept: by default in the cluster. */
export interface WithCheckpoint<Store extends CheckpointStore> {
  checkpoint: Store;
}

/** What a handler is told beside the record. */
export interface ConsumerContext<Transaction = undefined> {
  /** Of this record in this life of the consumer: 1, 2, … */
  readonly attempt: number;
  /** Whether it was parked and is given once more. */
  readonly isReplay: boolean;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
  /** In which it writes, so that the record takes effect once; with a checkpoint store that has transactions. */
  readonly transaction: Transaction;
}

/** Does what there is to do for a record. When it throws or rejects, the record has failed. */
export type RecordHandler<T, Transaction = undefined> = (
  entry: Entry<T>,
  context: ConsumerContext<Transaction>,
) => unknown;

/** Options with their defaults. */
export interface CheckedOptions {
  readonly name: string;
  readonly from: NonNullable<ConsumerOptions['from']>;
  readonly checkpoint: CheckpointStore | undefined;
  readonly concurrency: number;
  readonly orderBy: ConsumerOptions<unknown>['orderBy'];
  readonly attempts: number;
  readonly onError: OnHandlerError;
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
  readonly checkpointEveryMs: number;
  readonly signal: AbortSignal | undefined;
}

const NAME_MAX = 200;

const NAMES: OptionNames<ConsumerOptions & WithCheckpoint<CheckpointStore>> = {
  name: true,
  from: true,
  concurrency: true,
  orderBy: true,
  attempts: true,
  onError: true,
  checkpoint: true,
  checkpointEveryMs: true,
  maxInFlight: true,
  maxInFlightBytes: true,
  signal: true,
};

/** Throws `INVALID_ARGUMENT` for what cannot be the name of a consumer. */
export function checkConsumerName(name: unknown): void {
  if (typeof name === 'string' && name !== '' && name.length <= NAME_MAX) return;
  throw invalid(`name is ${JSON.stringify(name)}`, `give 1 to ${NAME_MAX} characters`);
}

/** Throws `INVALID_ARGUMENT` for what makes no sense. */
export function checkedOptions(
  options: ConsumerOptions<never> & Partial<WithCheckpoint<CheckpointStore>>,
  handler: unknown,
): CheckedOptions {
  checkNames(options, NAMES, 'process');
  const { name, from = 'start', checkpoint, orderBy, onError = 'stop', signal } = options;
  checkConsumerName(name);
  checkFunctions({ handler });
  checkSignal(signal);
  if (typeof from === 'object' && !isAtTime(from)) {
    throw invalid('from is an object', "give 'start', 'end', a GLSN, a resume token or { time }");
  }
  checkWord(onError, 'onError', ['stop', 'skip', 'park']);
  const isOrder = orderBy === 'key' || orderBy === 'logStream' || typeof orderBy === 'function';
  if (orderBy !== undefined && !isOrder) {
    throw invalid(`orderBy is ${String(orderBy)}`, "give 'key', 'logStream' or a function");
  }
  const isStore = typeof checkpoint?.open === 'function' && typeof checkpoint.save === 'function';
  if (checkpoint !== undefined && !isStore) {
    throw invalid('checkpoint has no open and save', 'pass a checkpoint store, or leave it out');
  }
  const number = (key: Counted, fallback: number): number => {
    const { [key]: value = fallback } = options;
    checkCount(value, key);
    return value;
  };
  return {
    name,
    from,
    checkpoint,
    orderBy: orderBy as CheckedOptions['orderBy'],
    onError,
    signal,
    concurrency: number('concurrency', 1),
    attempts: number('attempts', 5),
    maxInFlight: number('maxInFlight', 1_024),
    maxInFlightBytes: number('maxInFlightBytes', 8 * 1024 * 1024),
    checkpointEveryMs: number('checkpointEveryMs', 1_000),
  };
}

type Counted =
  | 'concurrency'
  | 'attempts'
  | 'maxInFlight'
  | 'maxInFlightBytes'
  | 'checkpointEveryMs';

function invalid(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what: `${what}: it cannot be used`, next });
}
