import { type Ports, SerialQueue, sleep } from '../../framework/base/index.ts';
import type {
  CheckpointOwner,
  TransactionalCheckpointStore,
} from '../../framework/log/client/index.ts';
import {
  checkOwner,
  isDone,
  type TransactionMarks,
  withDone,
  withParked,
} from '../../framework/log/consumer/index.ts';

/** What a transaction has written: GLSNs of records that take effect. */
type Transaction = number[];

/** A database on a machine that never fails, as clients see one: transactions that are committed as a whole, or not. */
export class SimulatedDatabase implements TransactionalCheckpointStore<Transaction> {
  /** GLSNs of the records whose effects are in it, in the order of the transactions. */
  readonly effects: number[] = [];
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly commits = new SerialQueue();
  private row: { readonly owner: CheckpointOwner; readonly marks: TransactionMarks } | undefined;
  private epoch = 0;

  constructor(ports: Pick<Ports, 'clock' | 'random'>) {
    this.ports = ports;
  }

  async open(
    owner: CheckpointOwner,
    parked: readonly number[],
  ): Promise<TransactionMarks | undefined> {
    return this.commit(owner, (marks) => {
      return marks && { ...marks, parked: marks.parked.filter((it) => parked.includes(it)) };
    });
  }

  async save(owner: CheckpointOwner, position: number): Promise<void> {
    await this.commit(owner, (marks) => ({ position, done: [], parked: marks?.parked ?? [] }));
  }

  async transact(
    owner: CheckpointOwner,
    glsn: number,
    work: (transaction: Transaction) => Promise<void>,
  ): Promise<void> {
    const before = await this.commit(owner, (marks) => marks);
    if (isDone(before!, glsn)) return;
    const written: Transaction = [];
    await work(written);
    await this.commit(owner, (marks) => {
      this.effects.push(...written);
      return withDone(marks!, glsn);
    });
  }

  async park(owner: CheckpointOwner, glsn: number): Promise<void> {
    await this.commit(owner, (marks) => withParked(marks!, glsn));
  }

  /** One after the other, at some moment after it is sent. */
  private async commit(
    owner: CheckpointOwner,
    change: (marks: TransactionMarks | undefined) => TransactionMarks | undefined,
  ): Promise<TransactionMarks | undefined> {
    const { clock, random } = this.ports;
    await sleep(clock, random.below(4));
    return this.commits.run(() => {
      checkOwner({ ...owner, epoch: this.epoch }, owner);
      if (this.row !== undefined) checkOwner(this.row.owner, owner);
      this.epoch = owner.epoch;
      const marks = change(this.row?.marks);
      if (marks !== undefined) this.row = { owner, marks };
      return marks;
    });
  }
}
