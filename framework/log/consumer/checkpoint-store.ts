import { VarlogError } from '../../base/index.ts';

/** Whose checkpoint it is. */
export interface CheckpointOwner {
  /** Which log, of all that were ever made. */
  readonly log: string;
  /** Name of the consumer. */
  readonly consumer: string;
  /** Grows with each life of the consumer, over all processes. */
  readonly epoch: number;
}

/** What is done. */
export interface Checkpoint {
  /** Everything up to here. */
  readonly position: number;
  /** Beyond it, these as well: only stores that work in transactions know of them. */
  readonly done?: readonly number[];
}

/**
 * Where a consumer keeps how far it is. One life of a consumer at a time may write: all of these reject with
 * `CONSUMER_FENCED` once a life with a higher epoch has opened the checkpoint, and with `LOG_MISMATCH` where it is of
 * another log or consumer. `checkOwner` says both.
 */
export interface CheckpointStore {
  /**
   * Begins a life: from now on those with a lower epoch are refused. Resolves with what is done; `undefined` where
   * nothing was saved yet. `parked` are the records that are still put aside: others have been given up.
   */
  open(owner: CheckpointOwner, parked: readonly number[]): Promise<Checkpoint | undefined>;
  /** Everything up to `position` is done. Durable when it resolves. */
  save(owner: CheckpointOwner, position: number): Promise<void>;
}

/** A store that notes a record as done in the transaction in which a handler writes: so each takes effect once. */
export interface TransactionalCheckpointStore<Transaction> extends CheckpointStore {
  /**
   * Does `work` for a record and notes that it is done, in one transaction: both or neither. Does nothing for one that is
   * done. A record that is parked is not done. Records may be done in any order. Rejects with what `work` rejected with,
   * and with `HANDLER_FAILED` where it left the transaction so that it cannot be committed as a whole.
   */
  transact(
    owner: CheckpointOwner,
    glsn: number,
    work: (transaction: Transaction) => Promise<void>,
  ): Promise<void>;
  /** The record is put aside: the position may pass it, and {@link transact} does it later. Not where it is done. */
  park(owner: CheckpointOwner, glsn: number): Promise<void>;
}

/** Whether records are done in transactions of the store. */
export function isTransactional(
  store: CheckpointStore | undefined,
): store is TransactionalCheckpointStore<unknown> {
  return store !== undefined && 'transact' in store;
}

/**
 * Throws `LOG_MISMATCH` where a checkpoint is of another log or consumer, and `CONSUMER_FENCED` where it is of a later
 * life.
 */
export function checkOwner(stored: CheckpointOwner, own: CheckpointOwner): void {
  if (stored.log !== own.log || stored.consumer !== own.consumer) {
    const of = ({ log, consumer }: CheckpointOwner): string => `consumer "${consumer}" of ${log}`;
    throw new VarlogError('LOG_MISMATCH', {
      what: `the checkpoint is that of ${of(stored)}, and this is ${of(own)}`,
      because: 'the place is that of another consumer, or the topic or the cluster was made anew',
      next: 'correct the place or the name; or move the old checkpoint away, with what was derived from it',
      details: { stored, own },
    });
  }
  if (stored.epoch <= own.epoch) return;
  throw new VarlogError('CONSUMER_FENCED', {
    what: `consumer "${own.consumer}" of epoch ${own.epoch} was followed by one of epoch ${stored.epoch}`,
    next: 'leave the records to that one; or give consumers that live at the same time names of their own',
    details: { consumer: own.consumer, epoch: own.epoch, newest: stored.epoch },
  });
}
