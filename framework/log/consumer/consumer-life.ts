import { SerialQueue, VarlogError } from '../../base/index.ts';
import {
  type ConsumerBegin,
  type ConsumerStep,
  consumerFenced,
  type ParkedRecord,
} from '../core/index.ts';
import {
  type Checkpoint,
  type CheckpointOwner,
  type CheckpointStore,
  isTransactional,
} from './checkpoint-store.ts';
import type { ConsumerRegistry, RegisteredConsumer } from './consumer-registry.ts';

/** What a life of a consumer is given. */
export interface LifeParts {
  readonly registry: ConsumerRegistry;
  readonly name: string;
  /** A random id of this life. */
  readonly owner: string;
  /**
   * Numbers what is said: 1, 2, …, over all attempts to open this life. One of which the outcome is not known may have said
   * something, and what comes later with the same number would not count.
   */
  readonly nextSequence: () => number;
  readonly begin: ConsumerBegin;
  /** Where the position is kept beside the registry. */
  readonly store: CheckpointStore | undefined;
}

interface Limits {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/**
 * One life of a consumer: what it says to the registry and to its checkpoint store, and in which order. A record is
 * parked in the registry before the store passes it, and the registry, which holds the records, moves after the store.
 */
export class ConsumerLife {
  readonly epoch: number;
  /** Everything up to here is done, with which this life begins. */
  readonly begin: number;
  private readonly parts: LifeParts;
  private readonly owner: CheckpointOwner;
  /** Beyond the beginning. */
  private readonly doneBefore: ReadonlySet<number>;
  private readonly parkedBefore: ReadonlySet<number>;
  /** The registry knows it. */
  private saved: number;
  /** The registry was told so, and may know it: never less is said later, because records behind it may be gone then. */
  private said: number;
  private readonly turns = new SerialQueue();
  /** Separate, so that nothing that is parked waits for a store. */
  private readonly saves = new SerialQueue();
  /** Records that are parked. */
  parked: number;
  /** The last position of the log. */
  tail: number;

  private constructor(
    parts: LifeParts,
    consumer: RegisteredConsumer,
    at: Checkpoint,
    tail: number,
  ) {
    const { registry, name } = parts;
    const { epoch } = consumer;
    this.parts = parts;
    this.epoch = epoch;
    this.owner = { log: registry.log, consumer: name, epoch };
    this.begin = at.position;
    this.doneBefore = new Set(at.done);
    this.parkedBefore = new Set(consumer.parked.map(({ glsn }) => glsn));
    this.saved = consumer.position;
    this.said = consumer.position;
    this.parked = consumer.parked.length;
    this.tail = tail;
  }

  /** Fences all lives before. May be repeated when it failed. */
  static async open(parts: LifeParts, limits: Limits): Promise<ConsumerLife> {
    const { registry, name, owner, begin, store } = parts;
    const epoch = await registry.open({ name, owner, begin }, limits);
    const { consumer, last } = await registry.look(name, limits);
    if (consumer?.epoch !== epoch) throw consumerFenced(name, epoch, consumer?.epoch ?? 0);
    let at: Checkpoint | undefined = consumer;
    if (store !== undefined) {
      const of = { log: registry.log, consumer: name, epoch };
      const parked = consumer.parked.map(({ glsn }) => glsn);
      at = await store.open(of, parked);
      if (at === undefined) {
        if (consumer.position !== consumer.began) throw checkpointLost(consumer);
        await store.save(of, consumer.position);
        at = consumer;
      }
    }
    const { position, done } = at;
    const life = new ConsumerLife(parts, consumer, { position, ...(done && { done }) }, last);
    if (position !== consumer.position) await life.advance({ position }, limits);
    return life;
  }

  /** Whether the record was done by an earlier life. */
  wasDone(glsn: number): boolean {
    return this.doneBefore.has(glsn);
  }

  /** Whether an earlier life has put the record aside. */
  wasParked(glsn: number): boolean {
    return this.parkedBefore.has(glsn);
  }

  /** Does what there is to do for a record, in a transaction where there are some. */
  async run(glsn: number, work: (transaction: unknown) => Promise<void>): Promise<void> {
    const { store } = this.parts;
    if (isTransactional(store)) await store.transact(this.owner, glsn, work);
    else await work(undefined);
  }

  /** Puts a record aside: the registry first. */
  async park(record: Omit<ParkedRecord, 'replay'>, limits: Limits): Promise<void> {
    await this.advance({ parked: [{ ...record, replay: false }] }, limits);
    await this.passParked(record.glsn);
  }

  /** The registry has put the record aside: the store may pass it. */
  async passParked(glsn: number): Promise<void> {
    const { store } = this.parts;
    if (isTransactional(store)) await store.park(this.owner, glsn);
  }

  /** A record that was parked is done. */
  async settle(glsn: number, limits: Limits): Promise<void> {
    await this.advance({ settled: [glsn] }, limits);
  }

  /** Everything up to `position` is done, but for what is parked. One after the other: a store is never written to twice at once. */
  save(position: number, limits: Limits): Promise<void> {
    return this.saves.run(async () => {
      if (position <= this.saved) return;
      const { store } = this.parts;
      if (store !== undefined && !isTransactional(store)) await store.save(this.owner, position);
      await this.advance({ position }, limits);
    });
  }

  /**
   * What there is to hear: which parked records are to be replayed. Rejects with `CONSUMER_FENCED`, and with `NOT_FOUND`
   * once the consumer was removed.
   */
  async look(limits: Limits): Promise<readonly ParkedRecord[]> {
    const { registry, name } = this.parts;
    const { consumer, last } = await registry.look(name, { ...limits, due: true });
    if (consumer === undefined) throw removed(name);
    if (consumer.epoch !== this.epoch) throw consumerFenced(name, this.epoch, consumer.epoch);
    this.parked = consumer.parkedCount;
    this.tail = Math.max(this.tail, last);
    return consumer.parked.filter(({ replay }) => replay);
  }

  /** One after the other: what comes with a lower sequence does not count. */
  private advance(
    step: Partial<Pick<ConsumerStep, 'position' | 'parked' | 'settled'>>,
    limits: Limits,
  ): Promise<void> {
    const { registry, name, nextSequence } = this.parts;
    return this.turns.run(async () => {
      const { epoch, said: before } = this;
      const { position = before, parked = [], settled = [] } = step;
      this.said = position;
      const sequence = nextSequence();
      await registry.advance({ name, epoch, sequence, position, parked, settled }, limits);
      this.saved = position;
      this.parked += parked.length - settled.length;
    });
  }
}

function removed(name: string): VarlogError {
  return new VarlogError('NOT_FOUND', {
    what: `consumer "${name}" was removed`,
    next: 'start it again to register it anew: it begins where a new one does',
    details: { consumer: name },
  });
}

function checkpointLost({ name, position, began }: RegisteredConsumer): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the checkpoint store has nothing of consumer "${name}", which has done the records up to ${position}`,
    because: 'the store was lost, emptied or exchanged',
    next: `bring the store back; or remove the consumer ("varlog consumer rm") to have it begin anew`,
    details: { consumer: name, position, began },
  });
}
