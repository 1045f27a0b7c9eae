import { sleep, VarlogError } from '../../base/index.ts';
import { MemoryRecords, type RecordStore } from '../../testing/memory-records.ts';
import type { RecordInput } from '../client/index.ts';
import type { ConsumerStep } from '../core/index.ts';
import { ConsumerSetup, clock, often, range, until } from './consumer.fixture.ts';
import type {
  CheckpointOwner,
  CheckpointStore,
  ConsumerRegistry,
  TransactionalCheckpointStore,
} from './index.ts';

const setup = new ConsumerSetup();
const { start } = setup;

describe('with a checkpoint store', () => {
  /** One that keeps the position in a value. */
  class Store implements CheckpointStore {
    stored: { owner: CheckpointOwner; position: number } | undefined;
    failing = 0;
    async open() {
      return this.stored && { position: this.stored.position };
    }
    async save(owner: CheckpointOwner, position: number) {
      if (this.failing-- > 0) throw new Error('the store is busy');
      this.stored = { owner, position };
    }
  }

  test('what that says counts, and the cluster follows', async () => {
    await setup.records.append(range(5));
    const store = new Store();
    store.failing = 2;
    const first = start({ name: 'billing', checkpoint: store, ...often }, () => {});
    await until(async () => (await setup.log.consumers.list())[0]?.position === 5);
    expect(store.stored).toMatchObject({ position: 5, owner: { consumer: 'billing', epoch: 1 } });
    await first.close();
    store.stored!.position = 3;
    const given: string[] = [];
    const options = { name: 'billing', checkpoint: store };
    const second = start(options, (entry) => given.push(entry.text()));
    await second.caughtUp();
    expect(given).toEqual(['4', '5']);
  });

  test('one that is empty although the consumer is not new is refused', async () => {
    await setup.records.append('a');
    const options = { name: 'billing', checkpoint: new Store() };
    const first = start(options, () => {});
    await first.caughtUp();
    await first.close();
    const second = start({ ...options, checkpoint: new Store() }, () => {});
    await expect(second.done).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('varlog consumer rm'),
    });
  });

  test('one that cannot begin a transaction is waited for, and no record has failed by that', async () => {
    await setup.records.append(range(3));
    class Transactions extends Store implements TransactionalCheckpointStore<string[]> {
      readonly effects: string[] = [];
      async transact(_: CheckpointOwner, __: number, work: (it: string[]) => Promise<void>) {
        if (this.failing-- > 0) throw new Error('the store is busy');
        await work(this.effects);
      }
      async park(): Promise<void> {}
    }
    const store = new Transactions();
    const options = { name: 'billing', attempts: 1, onError: 'park' as const };
    const consumer = start({ ...options, checkpoint: store }, (entry, { transaction }) =>
      (transaction as unknown as string[]).push(entry.text()),
    );
    await until(() => consumer.status.state === 'running');
    store.failing = 2;
    await setup.records.append('4');
    await consumer.caughtUp();
    expect(store.effects).toEqual(range(4));
    expect(consumer.status.parked).toBe(0);
  });

  test('one that hangs does not keep it from being closed', async () => {
    await setup.records.append('a');
    const store = new Store();
    const consumer = start(
      { name: 'billing', checkpoint: store, checkpointEveryMs: 60_000 },
      () => {},
    );
    await consumer.caughtUp();
    store.save = () => new Promise(() => {});
    await consumer.close();
    expect(consumer.status.state).toBe('closed');
  });

  test('it is written to once at a time, also at the end, and never goes back', async () => {
    const store = new Store();
    const saved: number[] = [];
    let writing = 0;
    let most = 0;
    let slow: (() => void) | undefined;
    store.save = async (_, position) => {
      most = Math.max(most, ++writing);
      if (position === 1)
        await new Promise<void>((resolve) => {
          slow = resolve;
        });
      writing--;
      saved.push(position);
    };
    const consumer = start({ name: 'billing', checkpoint: store, ...often }, () => {});
    await setup.records.append('a');
    await until(() => slow !== undefined);
    await setup.records.append('b');
    await consumer.caughtUp();
    const closed = consumer.close();
    await sleep(clock, 20);
    slow!();
    await closed;
    expect(most).toBe(1);
    expect(saved.at(-1)).toBe(2);
  });

  test('a position beyond the tail is refused', async () => {
    await setup.records.append('a');
    const store = new Store();
    store.stored = { owner: { log: '', consumer: '', epoch: 0 }, position: 2 };
    const consumer = start({ name: 'billing', checkpoint: store }, () => {});
    await expect(consumer.done).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
  });
});

describe('whose registry loses answers', () => {
  /** From now on the answers to steps do not arrive of which `isLost` is true. Gives back all steps. */
  function loseAnswers(isLost: (step: ConsumerStep) => boolean): readonly ConsumerStep[] {
    const steps: ConsumerStep[] = [];
    const consumers: ConsumerRegistry = {
      ...setup.log.consumers.registry,
      advance: async (step, limits) => {
        await setup.log.consumers.registry.advance(step, limits);
        steps.push(step);
        if (isLost(step)) throw new VarlogError('TIMEOUT', { what: 'the answer was lost' });
      },
    };
    const store: RecordStore = Object.create(setup.log.recordStore, {
      consumers: { value: consumers },
    });
    setup.records = new MemoryRecords<Uint8Array, RecordInput>(store, undefined);
    return steps;
  }

  test('a record that is parked after an opening of unknown outcome is not forgotten', async () => {
    await setup.records.append(range(2));
    let stored = 0;
    const checkpoint: CheckpointStore = {
      open: async () => ({ position: stored }),
      save: async (_, position) => {
        stored = position;
      },
    };
    const first = start({ name: 'billing', checkpoint, ...often }, () => {});
    await first.caughtUp();
    await first.close();
    // Somebody brought an older copy of the store back: the cluster follows it.
    stored = 1;
    let lost = 1;
    loseAnswers(() => lost-- > 0);
    const options = { name: 'billing', checkpoint, attempts: 1, onError: 'park' } as const;
    const second = start(options, () => {
      throw new Error('never');
    });
    await second.caughtUp();
    await second.close();
    const [known] = await setup.log.consumers.list();
    expect(known!.parked.map(({ glsn }) => glsn)).toEqual([2]);
    expect(known!.position).toBe(2);
  });

  test('what was said once is not taken back', async () => {
    await setup.records.append(range(3));
    const steps = loseAnswers(({ parked }) => parked.length === 0);
    let open = (): void => {};
    const isOpen = new Promise<void>((resolve) => {
      open = resolve;
    });
    const options = { name: 'billing', attempts: 1, onError: 'park', ...often } as const;
    const consumer = start(options, async ({ glsn }) => {
      if (glsn < 3) return;
      await isOpen;
      throw new Error('never');
    });
    await until(() => steps.some(({ position }) => position === 2));
    open();
    await consumer.caughtUp();
    expect(steps.find(({ parked }) => parked.length > 0)!.position).toBe(2);
  });
});
