import assert from 'node:assert/strict';
import type { LogCallOptions, VarlogError } from '../../base/index.ts';
import type { Expectation } from '../../log/index.ts';
import { type Closable, type ContractTest, contractTests } from './contract.ts';

/** What appends exactly once, as `TopicProducer` of `varlog/log` does. */
export interface LogProducer {
  readonly id: number;
  readonly epoch: number;
  readonly failure: VarlogError | undefined;
  append(
    records: Uint8Array | string | readonly (Uint8Array | string)[],
    options?: LogCallOptions & { expect?: Expectation },
  ): Promise<ProducedRecords>;
  close(): void;
}

/** Where records of a producer stand. */
export interface ProducedRecords {
  /** Position of the first one in the log. */
  readonly glsn: number;
  /** Its position in the log stream, where there are several. */
  readonly llsn: number;
  readonly count: number;
  /** Its number among those of the producer, from 0. */
  readonly sequence: number;
  /** An earlier try had put them there. */
  readonly duplicate: boolean;
}

/** An empty log that has producers, and what ends it. */
export interface ProducersUnderTest extends Closable {
  producer(options: { id: number }): Promise<LogProducer>;
  /** All records, in order. */
  texts(): Promise<string[]>;
}

/** What every log with producers owes its users. `make` gives a new, empty log. */
export function producerContract(make: () => Promise<ProducersUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    test('numbers records from 0 on, and says where they are', async (log) => {
      const producer = await log.producer({ id: 7 });
      const first = await producer.append('a');
      assert.deepEqual([first.sequence, first.count, first.duplicate], [0, 1, false]);
      const second = await producer.append([new TextEncoder().encode('b'), 'c']);
      assert.deepEqual([second.sequence, second.count, second.duplicate], [1, 2, false]);
      assert.ok(second.glsn > first.glsn && second.llsn > first.llsn);
      assert.equal((await producer.append('d')).sequence, 3);
      assert.deepEqual(await log.texts(), ['a', 'b', 'c', 'd']);
    });

    test('refuses what is no id, and says what is wanted', async (log) => {
      for (const options of [undefined, null, 7, {}, { id: '7' }, { id: -1 }, { id: 7, ids: 8 }]) {
        const refused = { code: 'INVALID_ARGUMENT', message: /producer.*(whole number|\bid\b)/ };
        await assert.rejects(async () => log.producer(options as { id: number }), refused);
      }
    });

    test('keeps the order of the calls, also of one moment', async (log) => {
      const producer = await log.producer({ id: 0 });
      const texts = Array.from({ length: 100 }, (_, i) => `${i}`);
      const acks = await Promise.all(texts.map((it) => producer.append(it)));
      assert.deepEqual(
        acks.map(({ sequence }) => `${sequence}`),
        texts,
      );
      assert.deepEqual(await log.texts(), texts);
    });

    test('takes nothing of a producer once a later one of its id has appended', async (log) => {
      const first = await log.producer({ id: 7 });
      const other = await log.producer({ id: 8 });
      await first.append('a');
      const second = await log.producer({ id: 7 });
      assert.ok(second.epoch > first.epoch);
      await second.append('b');
      const fenced = { code: 'PRODUCER_FENCED', outcome: 'notAppended' };
      await assert.rejects(first.append('c'), fenced);
      await assert.rejects(first.append('d'), fenced);
      assert.equal(first.failure?.code, 'PRODUCER_FENCED');
      assert.equal(second.failure, undefined);
      await other.append('e');
      assert.deepEqual(await log.texts(), ['a', 'b', 'e']);
    });

    test('an empty append is refused, and changes nothing', async (log) => {
      const producer = await log.producer({ id: 7 });
      const empty = { code: 'EMPTY_BATCH', outcome: 'notAppended' };
      await assert.rejects(producer.append([]), empty);
      assert.equal((await producer.append('a')).sequence, 0);
    });

    test('an append of which an expectation does not hold leaves the producer as it is', async (log) => {
      const producer = await log.producer({ id: 7 });
      const { llsn } = await producer.append('a', { expect: { tail: 0 } });
      const failed = { code: 'CONDITION_FAILED', outcome: 'notAppended' };
      await assert.rejects(producer.append('b', { expect: { tail: llsn - 1 } }), failed);
      assert.equal(producer.failure, undefined);
      const next = await producer.append('c', { expect: { tail: llsn } });
      assert.deepEqual([next.sequence, next.duplicate], [1, false]);
      assert.deepEqual(await log.texts(), ['a', 'c']);
    });

    test('an append that builds on one that fails is not taken', async (log) => {
      const producer = await log.producer({ id: 7 });
      const { llsn } = await producer.append('a');
      const first = producer.append('b', { expect: { tail: llsn - 1 } });
      const second = producer.append('c', { expect: { tail: llsn } });
      await assert.rejects(first, { code: 'CONDITION_FAILED' });
      await assert.rejects(second, { code: 'CONDITION_FAILED' });
      assert.equal(producer.failure?.code, 'CONDITION_FAILED');
      assert.deepEqual(await log.texts(), ['a']);
    });

    test('takes nothing once it is closed', async (log) => {
      const producer = await log.producer({ id: 7 });
      await producer.append('a');
      producer.close();
      await assert.rejects(producer.append('b'), { code: 'CLOSED', outcome: 'notAppended' });
      assert.deepEqual(await log.texts(), ['a']);
    });
  });
}
