import assert from 'node:assert/strict';
import type { Register } from './contract.ts';
import type { RecordLogUnderTest } from './record-log-under-test.ts';

/** Consumers, by name. */
export function consumersOfRecords(test: Register<RecordLogUnderTest>): void {
  test('a consumer is given each record, and the next of its name goes on behind the last', async ({
    log,
  }) => {
    await log.append(['a', 'b', 'c']);
    const given: string[] = [];
    const options = { name: 'billing', concurrency: 2 };
    const first = log.process(options, (entry) => given.push(entry.text()));
    await first.caughtUp();
    await first.close();
    await first.done;
    await log.append('d');
    const second = log.process(options, (entry) => given.push(entry.text()));
    await second.caughtUp();
    await second.close();
    assert.deepEqual(given, ['a', 'b', 'c', 'd']);
    assert.equal(second.status.state, 'closed');
  });

  test('a consumer stops at a record that fails, and says so', async ({ log }) => {
    await log.append(['a', 'b', 'c']);
    const given: string[] = [];
    const consumer = log.process({ name: 'billing', attempts: 1 }, (entry) => {
      if (entry.text() === 'b') throw new RangeError('not b');
      given.push(entry.text());
    });
    await assert.rejects(consumer.done, { code: 'HANDLER_FAILED', message: /not b/ });
    assert.deepEqual(given, ['a']);
    assert.equal(consumer.status.state, 'stopped');
    assert.equal(consumer.health().ok, false);
  });

  test('of two consumers of a name the later one goes on', async ({ log }) => {
    await log.append('a');
    const options = { name: 'billing', checkpointEveryMs: 20 };
    const first = log.process(options, () => {});
    await first.caughtUp();
    const second = log.process(options, () => {});
    await assert.rejects(first.done, { code: 'CONSUMER_FENCED' });
    await log.append('b');
    await second.caughtUp();
    await second.close();
  });
}
